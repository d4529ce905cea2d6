# `nix run .#switch`: this user's services, for whoever has no Nix configuration of their own.
#
# What can be set is what modules/services.nix takes:
#
#   switch.override { settings = { interval = 60; }; }
{
  lib,
  stdenv,
  cliproxyapi,
  cliproxyapi-sync,
  coreutils,
  formats,
  git,
  openssh,
  runCommand,
  writeShellScriptBin,
  settings ? { },
}:
let
  inherit (stdenv.hostPlatform) isDarwin;

  all = {
    bin = "${cliproxyapi-sync}/bin";
    proxy = lib.getExe cliproxyapi;
    path = import ../../modules/path.nix {
      inherit lib;
      pkgs = { inherit coreutils git openssh; };
    };
    # For a user without a config of their own.
    template = toString (
      (formats.yaml { }).generate "cliproxyapi-config.template.yaml" {
        host = "127.0.0.1";
        port = 8317;
      }
    );
    templateIsDefault = true;
  }
  // settings;

  files = import ./files.nix {
    manager = if isDarwin then "launchd" else "systemd";
    settings = all;
  };

  names = builtins.attrNames files;
  # Texts are too long for the environment of a builder, and file names are no names of variables.
  texts = lib.listToAttrs (
    lib.imap0 (index: name: lib.nameValuePair "text${toString index}" files.${name}) names
  );

  # Also for a look at what would be written: nix build .#switch.services
  services = runCommand "cliproxyapi-services" (texts // { passAsFile = lib.attrNames texts; }) (
    lib.concatStrings (
      lib.imap0 (index: name: ''
        mkdir -p "$out/${dirOf name}"
        cp "$text${toString index}Path" "$out/${name}"
      '') names
    )
  );

  switch = writeShellScriptBin "switch" ''
    exec ${cliproxyapi-sync}/bin/cliproxyapi-sync services --from ${services} "$@"
  '';

  # For a login, with the services' proxy, and before they have made its config.
  command = writeShellScriptBin "cliproxyapi" ''
    export CLIPROXY_BIN="''${CLIPROXY_BIN:-${all.proxy}}"
    export CLIPROXY_CONFIG_DEFAULT="''${CLIPROXY_CONFIG_DEFAULT:-${all.template}}"
    exec ${cliproxyapi-sync}/bin/cliproxyapi "$@"
  '';
in
switch.overrideAttrs (old: {
  passthru = (old.passthru or { }) // {
    inherit command services;
  };
  meta = (old.meta or { }) // {
    description = "Runs CLIProxyAPI, backup and sync as services of this user";
    mainProgram = "switch";
  };
})
