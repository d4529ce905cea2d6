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
  formats,
  git,
  linkFarm,
  openssh,
  writeShellScriptBin,
  writeText,
  settings ? { },
}:
let
  inherit (stdenv.hostPlatform) isDarwin;

  files = import ./files.nix {
    manager = if isDarwin then "launchd" else "systemd";
    settings = {
      bin = "${cliproxyapi-sync}/bin";
      proxy = lib.getExe cliproxyapi;
      path =
        map (package: "${lib.getBin package}/bin") [
          git
          openssh
        ]
        ++ [
          "/usr/bin"
          "/bin"
          "/usr/sbin"
          "/sbin"
        ];
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
  };

  # Also for a look at what would be written: nix build .#switch.services
  services = linkFarm "cliproxyapi-services" (
    lib.mapAttrsToList (name: text: {
      inherit name;
      path = writeText (baseNameOf name) text;
    }) files
  );

  switch = writeShellScriptBin "switch" ''
    exec ${cliproxyapi-sync}/bin/cliproxyapi-sync services --from ${services} "$@"
  '';
in
switch.overrideAttrs (old: {
  passthru = (old.passthru or { }) // {
    inherit services;
  };
  meta = (old.meta or { }) // {
    description = "Runs CLIProxyAPI, backup and sync as services of this user";
    mainProgram = "switch";
  };
})
