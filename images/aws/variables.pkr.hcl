# What differs from account to account. The shared ones are in common.pkr.hcl; docs/packer.md has a table of all.

variable "region" {
  type        = string
  default     = "us-east-1"
  description = "The region of the builder and of the first copy."
  validation {
    condition     = regex_replace(var.region, "^[a-z]{2}(-[a-z]+)+-[0-9]+$", "") == ""
    error_message = "A region looks like eu-central-1."
  }
}

variable "copy_to" {
  type        = list(string)
  default     = []
  description = "Further regions that the image is copied to."
}

variable "source_ami" {
  type        = string
  default     = ""
  description = "The id of your base image. Empty: the newest one that the filter below finds."
  validation {
    condition     = regex_replace(var.source_ami, "^(ami-[0-9a-f]{8,17})?$", "") == ""
    error_message = "An image id looks like ami-0123456789abcdef0."
  }
}

variable "source_filter" {
  type        = map(string)
  default     = { name = "debian-13-amd64-*", architecture = "x86_64", root-device-type = "ebs", virtualization-type = "hvm" }
  description = "By what your base image is found: filters of DescribeImages."
}

variable "source_owners" {
  type        = list(string)
  default     = ["136693071363"]
  description = "Whose images are taken, as account ids or self. Never leave it empty: anybody can name an image like yours. Default: Debian."
  validation {
    condition     = length(var.source_owners) > 0
    error_message = "Name the owners of the base image: anybody can give an image its name."
  }
}

variable "name_prefix" {
  type        = string
  default     = "trainshed"
  description = "How the name of the image begins; version, architecture and time follow."
  validation {
    condition     = regex_replace(var.name_prefix, "^[A-Za-z0-9()./_-]{3,60}$", "") == ""
    error_message = "A name has 3 to 60 letters, digits or ( ) . / _ - in it."
  }
}

variable "instance_type" {
  type        = string
  default     = "t3.medium"
  description = "The builder's type. Any x86_64 type of the Nitro system with 4 GiB of memory will do."
}

variable "vpc_id" {
  type        = string
  default     = ""
  description = "The network of the builder. Empty: the region's default one."
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "The subnet of the builder. Empty: one of the default network."
}

variable "security_group_ids" {
  type        = list(string)
  default     = []
  description = "Security groups of the builder. Empty: one is made, which lets ssh in from ssh_from, and is removed at the end."
}

variable "ssh_from" {
  type        = list(string)
  default     = []
  description = "Networks from which ssh to the builder is let in, as 203.0.113.7/32. Empty: any; the key of the build is needed anyway."
}

variable "ssh_interface" {
  type        = string
  default     = "public_ip"
  description = "By which address the builder is reached: public_ip, private_ip, public_dns, private_dns or session_manager."
  validation {
    condition     = contains(["public_ip", "private_ip", "public_dns", "private_dns", "session_manager"], var.ssh_interface)
    error_message = "The interface is public_ip, private_ip, public_dns, private_dns or session_manager."
  }
}

variable "ssh_host" {
  type        = string
  default     = ""
  description = "The address to reach the builder by, where it is none of those: a jump, a tunnel, a test."
}

variable "ssh_port" {
  type        = number
  default     = 22
  description = "The port of ssh on the base image."
}

variable "ssh_username" {
  type        = string
  default     = "admin"
  description = "The login of your base image. It is removed from the result: cloud-init makes it anew for each machine."
}

variable "iam_instance_profile" {
  type        = string
  default     = ""
  description = "The role of the builder; none is needed but for session_manager."
}

variable "root_device" {
  type        = string
  default     = "/dev/xvda"
  description = "What the base image calls its root device."
}

variable "root_gib" {
  type        = number
  default     = 8
  description = "Size of the root disk in GiB, not less than the base's. The data have a volume of their own."
  validation {
    condition     = var.root_gib >= 4 && var.root_gib <= 16384
    error_message = "A root disk has 4 to 16384 GiB."
  }
}

variable "encrypt" {
  type        = bool
  default     = true
  description = "Whether the image is encrypted. An encrypted image cannot be made public; Marketplace takes none."
}

variable "kms_key_id" {
  type        = string
  default     = ""
  description = "The key to encrypt with. Empty: the account's key for EBS, which images that are shared cannot have."
}

variable "share_with" {
  type        = list(string)
  default     = []
  description = "Accounts that may launch the image."
}

variable "deprecate_after" {
  type        = string
  default     = "2160h"
  description = "When the image is marked as out of date, after it was made: 90 days, unless you say otherwise."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of the image, its snapshots, and the builder while it runs."
}

variable "endpoint" {
  type        = string
  default     = ""
  description = "The address of EC2, where it is not Amazon's: a private endpoint, a test."
}
