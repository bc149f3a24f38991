# A Compute Engine image on somebody's own Debian 13: the same roles, applied over plain ssh. What users need not set is said here;
# the rest is in variables.pkr.hcl. Credentials come from the environment (gcloud auth application-default login), never from a variable.

locals {
  checkout = abspath("${path.root}/../..")
  version  = replace(var.trainshed_version, ".", "-")
  name     = "${var.family}-${local.version}-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  labels   = merge({ product = "trainshed", version = local.version, managed-by = "trainshed-packer" }, var.labels)
}

source "googlecompute" "trainshed" {
  project_id = var.project
  zone       = var.zone

  # The base.
  source_image            = var.source_image
  source_image_family     = var.source_family
  source_image_project_id = var.source_projects

  # The builder.
  machine_type                    = var.machine_type
  network                         = var.network
  subnetwork                      = var.subnetwork
  tags                            = var.network_tags
  use_internal_ip                 = var.internal_ip
  omit_external_ip                = var.internal_ip
  use_iap                         = var.iap
  service_account_email           = var.service_account
  disable_default_service_account = var.service_account == ""
  enable_secure_boot              = true
  enable_vtpm                     = true
  enable_integrity_monitoring     = true
  disk_size                       = var.disk_gib
  disk_type                       = "pd-balanced"
  labels                          = local.labels
  metadata                        = { block-project-ssh-keys = "TRUE", enable-oslogin = "FALSE" }
  ssh_username                    = var.ssh_username
  ssh_timeout                     = "10m"
  temporary_key_pair_type         = "ed25519"

  # The image.
  image_name              = local.name
  image_family            = var.family
  image_description       = "Trainshed ${var.trainshed_version}, on a base of your own"
  image_labels            = local.labels
  image_storage_locations = var.storage_locations
  # Every one of them is Debian 13's own; UEFI_COMPATIBLE is said because shielded machines refuse an image without it.
  image_guest_os_features = ["UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC", "SEV_CAPABLE", "SEV_LIVE_MIGRATABLE_V2"]
  dynamic "image_encryption_key" {
    for_each = var.kms_key == "" ? [] : [1]
    content {
      kmsKeyName = var.kms_key
    }
  }
}

build {
  sources = ["source.googlecompute.trainshed"]

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
      project = var.project
    }
  }
}
