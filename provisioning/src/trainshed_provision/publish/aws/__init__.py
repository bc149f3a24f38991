"""Images at Amazon EC2: what is wanted (`spec`), what is there (`observe`), the steps between (`plan`), their doing (`apply`)."""
