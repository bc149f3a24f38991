# An AMI on somebody's own Debian 13: the same roles, applied over plain ssh. What users need not set is said here; the rest is in
# variables.pkr.hcl. Credentials come from the environment, a profile or a role, never from a variable.

locals {
  checkout = abspath("${path.root}/../..")
  name     = "${var.name_prefix}-${var.trainshed_version}-amd64-${formatdate("YYYYMMDD-hhmmss", timestamp())}"
  tags = merge({
    Name      = local.name
    product   = "trainshed"
    version   = var.trainshed_version
    ManagedBy = "trainshed-packer"
  }, var.tags)
}

source "amazon-ebs" "trainshed" {
  region              = var.region
  custom_endpoint_ec2 = var.endpoint

  # The base.
  source_ami = var.source_ami
  dynamic "source_ami_filter" {
    for_each = var.source_ami == "" ? [1] : []
    content {
      filters     = var.source_filter
      owners      = var.source_owners
      most_recent = true
    }
  }

  # The builder.
  instance_type                         = var.instance_type
  vpc_id                                = var.vpc_id
  subnet_id                             = var.subnet_id
  security_group_ids                    = var.security_group_ids
  temporary_security_group_source_cidrs = var.ssh_from
  iam_instance_profile                  = var.iam_instance_profile
  shutdown_behavior                     = "terminate" # should it ever stop by itself, nothing is charged for
  ssh_interface                         = var.ssh_host == "" ? var.ssh_interface : ""
  ssh_host                              = var.ssh_host
  ssh_port                              = var.ssh_port
  ssh_username                          = var.ssh_username
  ssh_timeout                           = "10m"
  temporary_key_pair_type               = "ed25519"
  run_tags                              = local.tags
  run_volume_tags                       = local.tags
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  # The image. How it boots it has from the base. IMDSv2 of its machines is `shed packer`'s last step: this builder cannot ask for it.
  ami_name        = local.name
  ami_description = "Trainshed ${var.trainshed_version}, on a base of your own"
  ami_regions     = var.copy_to
  ami_users       = var.share_with
  ena_support     = true
  sriov_support   = true
  encrypt_boot    = var.encrypt
  kms_key_id      = var.kms_key_id
  deprecate_at    = timeadd(timestamp(), var.deprecate_after)
  tags            = local.tags
  snapshot_tags   = local.tags
  launch_block_device_mappings {
    device_name           = var.root_device
    volume_size           = var.root_gib
    volume_type           = "gp3"
    delete_on_termination = true
  }
}

build {
  sources = ["source.amazon-ebs.trainshed"]

  provisioner "ansible" {
    command          = var.ansible_playbook
    playbook_file    = local.playbook
    use_proxy        = false
    user             = var.ssh_username
    ansible_env_vars = local.ansible_env
    extra_arguments  = concat(local.ansible_arguments, ["--extra-vars", jsonencode(local.ansible_variables)])
  }

  post-processor "manifest" {
    output = var.manifest
    custom_data = {
      version = var.trainshed_version
      region  = var.region
    }
  }
}
