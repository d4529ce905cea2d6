# services.cliproxyapi for nix-darwin: launchd agents of the primary user.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cliproxyapi;
  primaryUser = config.system.primaryUser;
  user = if cfg.user == null then "nobody" else cfg.user;
  declared = config.users.users.${user}.home or null;
  home = if declared == null then "/Users/${user}" else toString declared;

  rendered = import ./services.nix (import ./from-config.nix {
    inherit lib pkgs cfg;
    homeDirectory = home;
  }).services;
  assignments = lib.concatStringsSep " " (
    import ./shell-environment.nix { inherit lib; } (removeAttrs rendered.environment [ "PATH" ])
  );
  as = ''launchctl asuser "$(id -u -- ${lib.escapeShellArg user})" sudo --user=${lib.escapeShellArg user} --set-home --'';
  directories = lib.escapeShellArgs rendered.watched;
in
{
  _class = "darwin";

  imports = [
    (import ./options.nix {
      host = "nix-darwin";
      homeDirectory = home;
      user = primaryUser;
    })
  ];

  config = lib.mkIf cfg.enable {
    launchd.user.agents = lib.mapAttrs (_: agent: {
      # nix-darwin waits for the store to be mounted before a command, not before ProgramArguments.
      command = lib.escapeShellArgs agent.ProgramArguments;
      serviceConfig = removeAttrs agent [
        "Label"
        "ProgramArguments"
      ];
      managedBy = "services.cliproxyapi.enable";
    }) rendered.launchd.agents;

    environment.systemPackages = lib.mkIf cfg.createWrapper [
      (import ./wrapper.nix {
        inherit lib pkgs;
        package = cfg.sync.package;
        run = ''
          export ${assignments}
          exec "$program" "$@"
        '';
      })
    ];

    # Runs as root and under `set -e`: nothing here may fail.
    system.activationScripts.postActivation.text = ''
      ${as} mkdir -p -m 700 ${directories} ||
        echo "warning: cliproxyapi: cannot make ${directories}" >&2
    ''
    + lib.optionalString cfg.hydrate.enable ''
      echo "cliproxyapi: fetching credentials from the store" >&2
      ${as} ${pkgs.coreutils}/bin/env ${assignments} PATH=${lib.escapeShellArg rendered.environment.PATH} \
        ${pkgs.coreutils}/bin/timeout 30 ${lib.escapeShellArgs rendered.programs.hydrate} ||
        echo "warning: cliproxyapi: the credentials were not fetched; the agents try again. To see why: cliproxyapi-sync hydrate" >&2
    '';
  };
}
