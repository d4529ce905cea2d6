# services.cliproxyapi for home-manager: user services on Linux, launchd agents on macOS.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cliproxyapi;
  home = config.home.homeDirectory;
  inherit (pkgs.stdenv.hostPlatform) isDarwin;

  rendered = import ./services.nix (import ./from-config.nix {
    inherit lib pkgs cfg;
    homeDirectory = home;
  }).services;
  assignments = lib.concatStringsSep " " (
    import ./shell-environment.nix { inherit lib; } rendered.environment
  );
in
{
  _class = "homeManager";

  imports = [
    (import ./options.nix {
      host = "home-manager";
      homeDirectory = home;
      user = config.home.username;
    })
  ];

  config = lib.mkIf cfg.enable {
    systemd.user = lib.mkIf (!isDarwin) { inherit (rendered.systemd) services paths timers; };

    launchd.agents = lib.mkIf isDarwin (
      lib.mapAttrs (_: agent: {
        enable = true;
        config = removeAttrs agent [ "Label" ];
      }) rendered.launchd.agents
    );

    home.packages = lib.mkIf cfg.createWrapper [
      (import ./wrapper.nix {
        inherit lib pkgs;
        package = cfg.sync.package;
        run = ''
          export ${assignments}
          exec "$program" "$@"
        '';
      })
    ];

    # Watches need their directories, and a first switch the logins. Never fails the switch, nor holds it up.
    home.activation.cliproxyapi =
      lib.hm.dag.entryBetween
        [ "reloadSystemd" "setupLaunchAgents" ]
        [ "writeBoundary" "linkGeneration" ]
        ''
          run mkdir -p -m 700 ${lib.escapeShellArgs rendered.watched} ||
            warnEcho "cliproxyapi: the directories above could not be made; backup will not see changes in them"
        '';
    home.activation.cliproxyapiHydrate = lib.mkIf cfg.hydrate.enable (
      lib.hm.dag.entryBetween [ "reloadSystemd" "setupLaunchAgents" ] [ "cliproxyapi" ] ''
        noteEcho "cliproxyapi: fetching credentials from the store"
        run ${pkgs.coreutils}/bin/env ${assignments} \
          ${pkgs.coreutils}/bin/timeout 30 ${lib.escapeShellArgs rendered.programs.hydrate} ||
          warnEcho "cliproxyapi: the credentials were not fetched; the services try again. To see why: cliproxyapi-sync hydrate"
      ''
    );
  };
}
