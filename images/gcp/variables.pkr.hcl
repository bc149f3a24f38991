# What differs from project to project. The shared ones are in common.pkr.hcl; docs/packer.md has a table of all.

variable "project" {
  type        = string
  default     = "your-project"
  description = "The project of the builder and of the image."
  validation {
    condition     = regex_replace(var.project, "^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", "") == ""
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
  }
}

variable "zone" {
  type        = string
  default     = "us-central1-a"
  description = "The zone of the builder."
  validation {
    condition     = regex_replace(var.zone, "^[a-z]+-[a-z]+[0-9]+-[a-z]$", "") == ""
    error_message = "A zone looks like europe-west3-a."
  }
}

variable "source_image" {
  type        = string
  default     = ""
  description = "The name of your base image. Empty: the newest of the family below."
}

variable "source_family" {
  type        = string
  default     = "debian-13"
  description = "The family of your base image."
}

variable "source_projects" {
  type        = list(string)
  default     = ["debian-cloud"]
  description = "The projects in which the base image is looked for, in this order."
  validation {
    condition     = length(var.source_projects) > 0
    error_message = "Name the project of the base image."
  }
}

variable "family" {
  type        = string
  default     = "trainshed-own-base"
  description = "The family that the image becomes the newest of."
  validation {
    condition     = regex_replace(var.family, "^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$", "") == ""
    error_message = "A family has up to 42 small letters, digits and dashes: version and time follow in the image's name."
  }
}

variable "machine_type" {
  type        = string
  default     = "e2-medium"
  description = "The builder's type."
}

variable "network" {
  type        = string
  default     = "default"
  description = "The network of the builder."
}

variable "subnetwork" {
  type        = string
  default     = ""
  description = "Its subnetwork, where the network has no automatic ones."
}

variable "network_tags" {
  type        = list(string)
  default     = []
  description = "Tags of the builder that your firewall rules ask for; one has to let ssh in."
}

variable "internal_ip" {
  type        = bool
  default     = false
  description = "Whether the builder has no address outside, and is reached by the one inside."
}

variable "iap" {
  type        = bool
  default     = false
  description = "Whether it is reached through Google's tunnel (IAP). It needs gcloud here."
}

variable "ssh_username" {
  type        = string
  default     = "packer"
  description = "A login that is made for the build and removed from the result."
}

variable "service_account" {
  type        = string
  default     = ""
  description = "The service account of the builder. Empty: none, as it needs no rights."
}

variable "disk_gib" {
  type        = number
  default     = 10
  description = "Size of the disk in GiB, not less than the base's. The data have a disk of their own."
  validation {
    condition     = var.disk_gib >= 4 && var.disk_gib <= 65536
    error_message = "A disk has 4 to 65536 GiB."
  }
}

variable "kms_key" {
  type        = string
  default     = ""
  description = "The key to encrypt the image with: projects/P/locations/L/keyRings/R/cryptoKeys/K. Empty: Google's."
}

variable "storage_locations" {
  type        = list(string)
  default     = []
  description = "Where the image is kept, as [\"eu\"]. Empty: near the builder."
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Labels of the image, and of the builder while it runs."
}
