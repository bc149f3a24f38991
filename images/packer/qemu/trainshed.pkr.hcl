# A disk image on somebody's own Debian 13 with cloud-init: the same roles, in a machine that QEMU runs here.

variable "base_disk" {
  type        = string
  default     = "debian-13-generic-amd64.qcow2"
  description = "The disk to start from, a path or an https address. It is copied, never written to."
}

variable "base_checksum" {
  type        = string
  default     = "none"
  description = "Its checksum, as \"sha512:...\" or \"file:https://.../SHA512SUMS\". Give one for a disk that is fetched."
}

variable "seed" {
  type        = string
  default     = "seed"
  description = "A folder with user-data and meta-data for cloud-init that let the key below in."
}

variable "ssh_private_key_file" {
  type        = string
  default     = "seed/key"
  description = "The key that the seed lets in."
}

variable "ssh_username" {
  type        = string
  default     = "packer"
  description = "The login that the seed makes. It is removed at the end."
}

variable "accelerator" {
  type        = string
  default     = "kvm"
  description = "kvm, or tcg: software emulation, which works everywhere and is slow."
  validation {
    condition     = contains(["kvm", "tcg"], var.accelerator)
    error_message = "The accelerator is kvm or tcg."
  }
}

variable "cpu" {
  type        = string
  default     = "max"
  description = "The processor that QEMU shows: x86-64-v2 or newer, as NumPy's wheels ask."
}

variable "disk_size" {
  type        = string
  default     = "4G"
  description = "The size of the disk that is made; not less than the base's."
}

variable "output" {
  type        = string
  default     = "packer-qemu"
  description = "The folder of the result, which must not be there yet."
}

locals {
  checkout = abspath("${path.root}/../../..")
}

source "qemu" "trainshed" {
  iso_url           = var.base_disk
  iso_checksum      = var.base_checksum
  disk_image        = true
  disk_size         = var.disk_size
  disk_compression  = true
  format            = "qcow2"
  output_directory  = var.output
  vm_name           = "trainshed.qcow2"
  accelerator       = var.accelerator
  machine_type      = "q35"
  cpus              = 2
  memory            = 2048
  disk_interface    = "virtio"
  net_device        = "virtio-net"
  headless          = true
  boot_wait         = "-1s"
  disable_vnc       = true
  http_directory    = var.seed
  ssh_username      = var.ssh_username
  ssh_timeout       = "20m"
  shutdown_timeout  = "10m"
  # The login that could shut it down is gone by then: the last step of the playbook has told the machine to.
  shutdown_command  = "true"

  ssh_private_key_file   = var.ssh_private_key_file
  ssh_handshake_attempts = 100

  qemuargs = [
    ["-cpu", var.cpu],
    ["-smbios", "type=1,serial=ds=nocloud;s=http://{{ .HTTPIP }}:{{ .HTTPPort }}/"],
    ["-serial", "file:${dirname(var.output)}/console.log"],
    ["-display", "none"],
  ]
}

build {
  sources = ["source.qemu.trainshed"]

  provisioner "ansible" {
    command          = var.ansible_playbook
    playbook_file    = local.playbook
    use_proxy        = false
    user             = var.ssh_username
    ansible_env_vars = local.ansible_env
    extra_arguments = concat(local.ansible_arguments, ["--extra-vars", jsonencode(merge(local.ansible_variables, {
      trainshed_poweroff = true
    }))])
  }

  post-processor "manifest" {
    output = var.manifest
  }
}
