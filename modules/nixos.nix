# services.cliproxyapi for NixOS: system services with a user of their own, instead of nixpkgs' own module.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cliproxyapi;
  inherit (cfg) user group dataDir;

  inherit
    (import ./from-config.nix { inherit lib pkgs cfg; })
    services
    listens
    ;
  rendered = import ./services.nix (
    services
    // {
      scope = "system";
      inherit user group;
      # systemd reads it, and PID 1 may read what the user may not.
      inherit (cfg) environmentFile environmentFiles;
      systemdVersion = 256;
      before = lib.optional (files != [ ]) "+${checkFiles}";
      beforeProxy = [ "${adoptLogins}" ];
      afterProxy = lib.optional (listens != null) "${awaitPort}";
    }
  );

  # [ { option; path; } ] of the files that must be there when a service starts.
  files =
    lib.optional (cfg.environmentFile != null) {
      option = "environmentFile";
      path = cfg.environmentFile;
    }
    ++ map (path: {
      option = "environmentFiles";
      inherit path;
    }) cfg.environmentFiles
    ++ map (secret: {
      option = "settings (_secret)";
      inherit (secret) path;
    }) services.secrets;

  # systemd's own words for a missing file name neither the option nor, for some directives, the file.
  checkFiles = pkgs.writeShellScript "cliproxyapi-check-files" (
    lib.concatMapStrings (
      { option, path }:
      ''
        [ -e ${lib.escapeShellArg path} ] || {
          echo ${lib.escapeShellArg "services.cliproxyapi.${option}: ${path} does not exist: create it, or order what creates it before cliproxyapi.service"} >&2
          exit 78
        }
      ''
    ) files
  );

  adoptLogins = pkgs.writeShellScript "cliproxyapi-adopt-logins" ''
    PATH=${lib.makeBinPath [ pkgs.coreutils ]} exec ${pkgs.runtimeShell} ${./adopt-logins.sh} ${lib.escapeShellArg dataDir} ${lib.escapeShellArg rendered.authDir}
  '';

  # The proxy does not say when it is ready: units after it find its port open.
  awaitPort = pkgs.writeShellScript "cliproxyapi-await-port" ''
    for _ in {1..300}; do
      (: < ${lib.escapeShellArg "/dev/tcp/${reachable}/${toString listens.port}"}) 2> /dev/null && exit 0
      ${pkgs.coreutils}/bin/sleep 0.1
    done
    echo ${lib.escapeShellArg "nothing listens on ${reachable}:${toString listens.port} yet"} >&2
  '';
  reachable =
    if
      builtins.elem listens.host [
        ""
        "0.0.0.0"
        "::"
      ]
    then
      "127.0.0.1"
    else
      listens.host;

  service = rendered.systemd.services.cliproxyapi.Service;
  properties = [
    "User=${user}"
    "Group=${group}"
    "UMask=0077"
  ]
  ++ lib.optional (service ? EnvironmentFile) "EnvironmentFile=${service.EnvironmentFile}"
  ++ map (credential: "LoadCredential=${credential}") (service.LoadCredential or [ ]);

  # systemd-run expands no %d.
  withEnvironment = pkgs.writeShellScript "cliproxyapi-with-environment" ''
    export ${
      lib.concatStringsSep " " (
        import ./shell-environment.nix { inherit lib; } (
          rendered.environment // { PATH = lib.makeBinPath tools; }
        )
      )
    }
    exec "$@"
  '';
  tools = [
    pkgs.git
    pkgs.openssh
  ];
in
{
  _class = "nixos";

  # Where it is, and where it was proposed to be: a path that nixpkgs does not have is harmless.
  disabledModules = [
    "services/misc/cliproxyapi.nix"
    "services/networking/cliproxyapi.nix"
  ];

  imports = [
    (import ./options.nix {
      host = "NixOS";
      user = "cliproxyapi";
      group = "cliproxyapi";
    })
  ];

  config = lib.mkIf cfg.enable {
    systemd.services = lib.mapAttrs (
      name: unit:
      let
        section = unit.Unit;
        isProxy = name == "cliproxyapi";
      in
      {
        description = section.Description;
        documentation = section.Documentation or [ ];
        wants = section.Wants or [ ];
        after = section.After or [ ];
        before = section.Before or [ ];
        wantedBy = unit.Install.WantedBy or [ ];
        unitConfig = removeAttrs section [
          "Description"
          "Documentation"
          "Wants"
          "After"
          "Before"
        ];
        environment = removeAttrs rendered.systemdEnvironment [ "PATH" ];
        path = tools;
        serviceConfig = removeAttrs unit.Service [ "Environment" ];
        # A switch restarts the proxy alone; what is started by a path or a timer is not in its way.
        restartIfChanged = isProxy;
      }
    ) rendered.systemd.services;

    systemd.paths = lib.mapAttrs (_: unit: {
      description = unit.Unit.Description;
      wantedBy = unit.Install.WantedBy;
      pathConfig = unit.Path;
    }) rendered.systemd.paths;

    systemd.timers = lib.mapAttrs (_: unit: {
      description = unit.Unit.Description;
      wantedBy = unit.Install.WantedBy;
      timerConfig = unit.Timer;
    }) rendered.systemd.timers;

    # Watched before any service has run, and never root's.
    systemd.tmpfiles.settings."10-cliproxyapi" = lib.genAttrs [
      dataDir
      (builtins.dirOf rendered.authDir)
      rendered.authDir
    ] (_: {
      d = {
        inherit user group;
        mode = "0700";
      };
    });

    users.users = lib.mkIf (user == "cliproxyapi") {
      cliproxyapi = {
        isSystemUser = true;
        inherit group;
        home = dataDir;
      };
    };
    users.groups = lib.mkIf (group == "cliproxyapi") { cliproxyapi = { }; };

    networking.firewall.allowedTCPPorts = lib.mkIf (cfg.openFirewall && listens != null) [ listens.port ];
    assertions = [
      {
        assertion = cfg.openFirewall -> listens != null;
        message = "services.cliproxyapi.openFirewall: the port is in a file that Nix does not read: use networking.firewall.allowedTCPPorts.";
      }
    ];

    # In the service's own surroundings: its user, its variables, its secrets.
    environment.systemPackages = lib.mkIf cfg.createWrapper [
      (import ./wrapper.nix {
        inherit lib pkgs;
        package = cfg.sync.package;
        run = ''
          if [ -t 0 ] && [ -t 1 ]; then terminal=--pty; else terminal=--pipe; fi
          exec ${config.systemd.package}/bin/systemd-run --quiet --wait --collect "$terminal" --service-type=exec \
            ${lib.concatMapStringsSep " " (property: "--property=${lib.escapeShellArg property}") properties} \
            ${withEnvironment} "$program" "$@"
        '';
      })
    ];
  };
}
