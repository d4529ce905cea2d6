# Directories for PATH: what our programs and the units call by name, then what the machine has. `pkgs` is nixpkgs, or
# as much of it as is used here.
{ lib, pkgs }:
map (package: "${lib.getBin package}/bin") [
  pkgs.git
  pkgs.openssh
  pkgs.coreutils
]
++ [
  "/run/current-system/sw/bin"
  "/usr/bin"
  "/bin"
  "/usr/sbin"
  "/sbin"
]
