# A container image on somebody's own Debian 13: the same roles, the configuration of images/docker/image.json.

variable "base_image" {
  type        = string
  default     = "debian:13"
  description = "The image to start from. It needs Python 3."
}

variable "pull" {
  type        = bool
  default     = true
  description = "Whether it is fetched from its registry first."
}

variable "repository" {
  type        = string
  default     = "trainshed"
  description = "The name that the image gets."
}

variable "tag" {
  type        = string
  default     = "own-base"
  description = "Its tag."
}

locals {
  checkout = abspath("${path.root}/../../..")
  image    = jsondecode(file("${local.checkout}/images/docker/image.json"))
  health   = local.image.Healthcheck
  second   = 1000000000
  # A container has no kernel, modules, boot loader and disks of its own, and its name is the runtime's.
  not_of_a_container = ["B02", "B03", "B04", "B06", "H06", "I08"]
}

source "docker" "trainshed" {
  image  = var.base_image
  pull   = var.pull
  commit = true
  run_command = ["--detach", "--interactive", "--tty", "--entrypoint", "/bin/sh", "--", "{{ .Image }}"]
  changes = concat(
    [for pair in local.image.Env : "ENV ${pair}"],
    [for port in keys(local.image.ExposedPorts) : "EXPOSE ${port}"],
    [for path in keys(local.image.Volumes) : "VOLUME ${path}"],
    [
      "USER ${local.image.User}",
      "WORKDIR ${local.image.WorkingDir}",
      "ENTRYPOINT ${jsonencode(local.image.Entrypoint)}",
      "CMD ${jsonencode(local.image.Cmd)}",
      join(" ", [
        "HEALTHCHECK",
        "--interval=${local.health.Interval / local.second}s",
        "--timeout=${local.health.Timeout / local.second}s",
        "--start-period=${local.health.StartPeriod / local.second}s",
        "--retries=${local.health.Retries}",
        "CMD ${jsonencode(slice(local.health.Test, 1, length(local.health.Test)))}",
      ]),
    ],
  )
}

build {
  sources = ["source.docker.trainshed"]

  provisioner "ansible" {
    command          = var.ansible_playbook
    playbook_file    = local.playbook
    use_proxy        = false
    user             = "root"
    ansible_env_vars = local.ansible_env
    extra_arguments = concat(local.ansible_arguments, [
      "--connection", "community.docker.docker",
      "--extra-vars", jsonencode(merge(local.ansible_variables, {
        ansible_host           = build.ID
        ansible_user           = "root"
        trainshed_container    = build.ID
        trainshed_waived_rules = concat(var.waived_rules, local.not_of_a_container)
      })),
    ])
  }

  post-processors {
    post-processor "docker-tag" {
      repository = var.repository
      tags       = [var.tag]
    }
    post-processor "manifest" {
      output = var.manifest
    }
  }
}
