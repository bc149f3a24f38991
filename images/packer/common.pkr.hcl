# What all four templates share: each folder has a link to this file. `shed packer` gives the first six; who runs packer alone
# gives them with -var.

variable "ansible_playbook" {
  type        = string
  default     = "ansible-playbook"
  description = "The program that applies the roles."
}

variable "shed" {
  type        = string
  default     = "shed"
  description = "The program that asks the builder the rules of an image; empty: they are not asked."
}

variable "wheelhouse" {
  type        = string
  default     = ""
  description = "The tar of wheels that the server is installed from. The build refuses without one."
}

variable "trainshed_version" {
  type        = string
  default     = ""
  description = "The version in that tar."
}

variable "release" {
  type        = string
  default     = "{}"
  description = "JSON for /etc/trainshed-release: version, commit, commit_time."
}

variable "manifest" {
  type        = string
  default     = "packer-manifest.json"
  description = "The file that tells afterwards what was made."
}

variable "waived_rules" {
  type        = list(string)
  default     = []
  description = "Rules of an image that your base need not hold, as [\"B04\"]; docs/images.md has them all."
}

variable "data_volume" {
  type        = bool
  default     = true
  description = "Whether the data must be on a volume of its own; without one the server does not start."
}

variable "refresh" {
  type        = bool
  default     = true
  description = "Whether apt's lists are fetched first. Without them only packages that the base has, or knows of, can be had."
}

variable "security_updates" {
  type        = bool
  default     = true
  description = "Whether machines install security updates by themselves, at night."
}

locals {
  playbook = "${local.checkout}/playbooks/image.yml"
  # The builder is made anew for each build, so nobody knows its key.
  ansible_env = ["ANSIBLE_CONFIG=${local.checkout}/ansible.cfg", "ANSIBLE_HOST_KEY_CHECKING=False"]
  ansible_variables = {
    trainshed_version               = var.trainshed_version
    trainshed_wheelhouse            = var.wheelhouse
    trainshed_data_volume           = var.data_volume
    trainshed_base_update_cache     = var.refresh
    trainshed_base_security_updates = var.security_updates
    trainshed_release               = var.release
    trainshed_shed                  = var.shed
    trainshed_waived_rules          = var.waived_rules
  }
  # The phases that would start things.
  ansible_arguments = ["--skip-tags", "trainshed_base_run,trainshed_run"]
}
