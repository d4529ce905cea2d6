# The services, as data: settings -> systemd units and launchd agents. Pure, over `builtins` alone.
#
# Settings:
#   scope             "user" (home-manager, switch) or "system" (NixOS)
#   bin               directory of our programs
#   proxy             the proxy's program
#   path              directories for PATH
#   dataDir           the proxy's directory; credentials are in objectstore/auths below
#   nativeStore       "s3", "postgres" or "git": the proxy talks to this store itself; null: it does not
#   ccsDir            CCS's directory, or null
#   environment       the user's variables
#   environmentFile   system scope: for EnvironmentFile=; or null
#   environmentFiles  for our parser; null: the program's own default
#   secrets           [ { name; path; } ]: placeholder NAME is the content of the file
#   template          config template, or null: the program looks in dataDir
#   templateIsDefault whether a template or config in dataDir or the store wins over it
#   configFile        config that the proxy gets as it is, or null
#   extraArgs         further arguments for the proxy
#   backup hydrate sync   whether these are wanted
#   interval          seconds
#   user group        system scope
#   before beforeProxy afterProxy   system scope: commands before every service, before what first needs the
#                     credentials, and once the proxy runs (see nixos.nix)
#   logDir            macOS
#   labelPrefix       macOS
#   systemdVersion    what is newer than it is left out
#
# In paths, ''${HOME}, ''${XDG_RUNTIME_DIR} and %t stand for what systemd calls %h and %t.
settings:
let
  defaults = {
    scope = "user";
    path = [ ];
    nativeStore = null;
    ccsDir = null;
    environment = { };
    environmentFile = null;
    environmentFiles = null;
    secrets = [ ];
    template = null;
    templateIsDefault = false;
    configFile = null;
    extraArgs = [ ];
    backup = true;
    hydrate = true;
    sync = true;
    interval = 300;
    user = null;
    group = null;
    before = [ ];
    beforeProxy = [ ];
    afterProxy = [ ];
    logDir = null;
    labelPrefix = "cliproxyapi-sync";
    systemdVersion = 252;
  };
  s = defaults // settings;
  isSystem = s.scope == "system";
  # Attributes whose value is null are not there.
  present = set: removeAttrs set (builtins.filter (name: set.${name} == null) (builtins.attrNames set));
  when = condition: value: if condition then value else null;
  whenSet = condition: set: if condition then set else { };

  hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  afterPrefix = prefix: text: builtins.substring (builtins.stringLength prefix) (-1) text;
  join = builtins.concatStringsSep;

  # A native proxy keeps each store's credentials in a folder of its own (cmd/server/main.go).
  folder =
    {
      postgres = "pgstore";
      git = "gitstore";
    }
    .${toString s.nativeStore} or "objectstore";
  authDir = "${s.dataDir}/${folder}/auths";
  watched = [ authDir ] ++ (if s.ccsDir == null then [ ] else [ s.ccsDir ]);

  programs = {
    proxy = [
      "${s.bin}/start"
    ]
    ++ (
      if s.configFile == null then
        [ ]
      else
        [
          "-config"
          s.configFile
        ]
    )
    ++ s.extraArgs;
    hydrate = [ "${s.bin}/hydrate" ];
    backup = [ "${s.bin}/backup" ];
    sync = [
      "${s.bin}/cliproxyapi-sync"
      "sync"
    ];
  };

  # Variables, as the programs are to see them. Credentials are where systemd puts them: see `loadCredential`.
  environment = present {
    CLIPROXY_HOME = s.dataDir;
    CLIPROXY_CCS_DIR = if s.ccsDir == null then "" else s.ccsDir;
    CLIPROXY_BIN = s.proxy;
    CLIPROXY_STORE_MODE = when (s.nativeStore != null) "native";
    CLIPROXY_ENV_FILE =
      if s.environmentFiles == null then
        null
      else if s.environmentFiles == [ ] then
        # Unset it would be the program's default.
        "/dev/null"
      else
        join ":" (
          if isSystem then
            numbered (index: _: "%d/environment-${toString index}") s.environmentFiles
          else
            s.environmentFiles
        );
    CLIPROXY_CONFIG_TEMPLATE = when (!s.templateIsDefault) s.template;
    CLIPROXY_CONFIG_DEFAULT = when s.templateIsDefault s.template;
    HOME = when isSystem s.dataDir;
    XDG_STATE_HOME = when isSystem "${s.dataDir}/state";
    PATH = when (s.path != [ ]) (join ":" s.path);
  }
  // builtins.listToAttrs (
    map (secret: {
      name = "${secret.name}_FILE";
      value = if isSystem then "%d/${secret.name}" else secret.path;
    }) s.secrets
  )
  // s.environment;

  numbered = f: list: builtins.genList (index: f index (builtins.elemAt list index)) (builtins.length list);

  # PID 1 reads them, so they may be root's alone. A missing one is an empty credential to systemd, so that the
  # check in `before` can say which option named it.
  credentials =
    numbered (index: path: {
      name = "environment-${toString index}";
      inherit path;
    }) (if s.environmentFiles == null then [ ] else s.environmentFiles)
    ++ s.secrets;

  # systemd expands % in most values, and $ in commands.
  specifiers =
    builtins.replaceStrings
      [
        "%t/"
        "%"
        "\${XDG_RUNTIME_DIR}"
        "$XDG_RUNTIME_DIR/"
        "\${HOME}"
      ]
      [
        "%t/"
        "%%"
        "%t"
        "%t/"
        "%h"
      ];
  systemdEnvironment = builtins.mapAttrs (
    name: value: if isSystem && isCredential value then value else specifiers value
  ) environment;
  isCredential = hasPrefix "%d/";
  inherit (import ./quote.nix) quote;
  assignments = set: map (name: quote "${name}=${set.${name}}") (builtins.attrNames set);
  command = words: join " " (map (word: quote (builtins.replaceStrings [ "$" ] [ "$$" ] (specifiers word))) words);

  # Exposure by `systemd-analyze security`: 6.2 for user units. No MemoryDenyWriteExecute: it aborts Node, as does
  # a filter without @pkey.
  hardening = {
    NoNewPrivileges = true;
    LockPersonality = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    RestrictNamespaces = true;
    RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service @pkey"
      "~@privileged @resources"
    ];
    SystemCallErrorNumber = "EPERM";
    UMask = "0077";
    # A core file of a program that crashed would hold what it had in memory: tokens, keys.
    LimitCORE = 0;
  };

  # What only PID 1 can do; 1.3 with it. In user units these fail to start or do nothing.
  systemHardening = {
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    ProtectSystem = "strict";
    ProtectHome = if builtins.any inHome writable then "read-only" else true;
    PrivateTmp = true;
    PrivateDevices = true;
    PrivateUsers = true;
    PrivateIPC = true;
    ProtectHostname = true;
    ProtectClock = true;
    ProtectKernelTunables = true;
    ProtectKernelModules = true;
    ProtectKernelLogs = true;
    ProtectControlGroups = true;
    ProtectProc = "invisible";
    ProcSubset = "pid";
    RemoveIPC = true;
    KeyringMode = "private";
  };
  inHome = path: builtins.any (prefix: hasPrefix prefix path) [
    "/home/"
    "/root/"
    "/run/user/"
  ];
  writable = watched ++ [ s.dataDir ] ++ (if s.environment ? LOCALSTORE_PATH then [ s.environment.LOCALSTORE_PATH ] else [ ]);
  inStateDirectory = hasPrefix "/var/lib/" s.dataDir;
  outside = builtins.filter (path: !(inStateDirectory && hasPrefix s.dataDir path)) writable;

  # What all services have in common, and all that one needs that does nothing.
  confined =
    hardening
    // whenSet isSystem (
      systemHardening
      // present {
        User = s.user;
        Group = s.group;
      }
    );

  service =
    {
      Environment = assignments systemdEnvironment;
    }
    // confined
    // whenSet isSystem (present {
      StateDirectory = when inStateDirectory (specifiers (afterPrefix "/var/lib/" s.dataDir));
      StateDirectoryMode = when inStateDirectory "0700";
      # With the dash a directory that is not there yet is no failure (226).
      ReadWritePaths = when (outside != [ ]) (map (path: quote (specifiers "-${path}")) outside);
      EnvironmentFile = when (s.environmentFile != null) "-${specifiers s.environmentFile}";
      LoadCredential = when (credentials != [ ]) (map (c: quote "${c.name}:${specifiers c.path}") credentials);
      SetCredential = when (credentials != [ ]) (map (c: "${c.name}:missing") credentials);
      ExecStartPre = when (s.before != [ ]) s.before;
    });

  adopting = whenSet (isSystem && s.beforeProxy != [ ]) { ExecStartPre = s.before ++ s.beforeProxy; };

  online = whenSet isSystem {
    Wants = [ "network-online.target" ];
    After = [ "network-online.target" ];
  };

  # A burst of changes starts it more often than the default limit of five in ten seconds, and the path unit would
  # fail with it. For the switch: it is started by what it waits for, never by a new generation.
  triggered = {
    StartLimitIntervalSec = 0;
    X-SwitchMethod = "keep-old";
  };

  oneshot = description: words: {
    Unit = {
      Description = description;
    }
    // triggered
    // online;
    Service = service // {
      Type = "oneshot";
      ExecStart = command words;
      TimeoutStartSec = "5min";
    };
  };

  backupService =
    let
      plain = oneshot "Bring changed credentials of CLIProxyAPI to the store" programs.backup;
    in
    plain
    // {
      Service = plain.Service // {
        # Its own writes are seen, and the run after them finds nothing to do. One that fails every time, as on a full
        # disk, is not run again and again without a pause.
        ExecStopPost = command [
          "/bin/sh"
          "-c"
          ''test "$SERVICE_RESULT" = success || sleep 5''
        ];
      };
    };

  # What the path unit starts: it does nothing, and has backup follow it. systemd does not watch while what a path
  # unit starts is waiting or running. Were that backup itself, a change that comes after its last look and before
  # its end would be missed. This one waits until no backup runs, is over at once, and systemd watches again before
  # the backup that follows has begun: what changed until then that backup finds, and what changes later is seen.
  changedService = {
    Unit = {
      Description = "Credentials of CLIProxyAPI have changed";
      After = [ "cliproxyapi-backup.service" ];
      OnSuccess = [ "cliproxyapi-backup.service" ];
    }
    // triggered;
    Service = confined // {
      Type = "oneshot";
      ExecStart = command [
        "/bin/sh"
        "-c"
        ":"
      ];
    };
  };

  proxyService = {
    Unit = {
      Description = "CLIProxyAPI";
      Documentation = [ "https://github.com/router-for-me/CLIProxyAPI" ];
    }
    // online
    // whenSet (!isSystem) {
      After = [
        "sops-nix.service"
        "agenix.service"
      ];
    }
    // present {
      X-Restart-Triggers = when (!isSystem && s.template != null) [ s.template ];
    };
    Service =
      service
      // {
        Type = "exec";
        ExecStart = command programs.proxy;
        # The proxy ends with 0 on nearly every failure. 78 is what `start` says of a wrong configuration.
        Restart = "always";
        RestartSec = 5;
        RestartPreventExitStatus = 78;
        # Where the proxy is a child of `start` (Node before 22.15), its end by SIGTERM is passed on as this.
        SuccessExitStatus = 143;
        TimeoutStopSec = 30;
      }
      // whenSet (s.systemdVersion >= 254) {
        RestartSteps = 5;
        RestartMaxDelaySec = "5min";
      }
      // adopting
      // whenSet (isSystem && s.afterProxy != [ ]) { ExecStartPost = s.afterProxy; };
    Install.WantedBy = [ (if isSystem then "multi-user.target" else "default.target") ];
  };

  hydrateService = {
    Unit = {
      Description = "Fetch CLIProxyAPI's credentials";
      Before = [ "cliproxyapi.service" ];
    }
    // online;
    Service =
      service
      // {
        Type = "oneshot";
        ExecStart = command programs.hydrate;
        TimeoutStartSec = 30;
      }
      // adopting;
    # Wanted, never required: the proxy serves from what is there.
    Install.WantedBy = [ "cliproxyapi.service" ];
  };

  backupPath = {
    Unit.Description = "Changed credentials of CLIProxyAPI";
    Path =
      {
        # On close, rename and removal; PathModified would fire on each write.
        PathChanged = map specifiers watched;
        Unit = "cliproxyapi-changed.service";
      }
      # The system's manager would make them root's: there, tmpfiles does.
      // whenSet (!isSystem) {
        MakeDirectory = true;
        DirectoryMode = "0700";
      };
    Install.WantedBy = [ "paths.target" ];
  };

  syncTimer = {
    Unit.Description = "CLIProxyAPI's credentials, every ${toString s.interval} s";
    Timer = {
      # The second alone would never fire a first time.
      ${if isSystem then "OnBootSec" else "OnStartupSec"} = "1min";
      OnUnitActiveSec = "${toString s.interval}s";
      AccuracySec = "15s";
      Unit = "cliproxyapi-sync.service";
    };
    Install.WantedBy = [ "timers.target" ];
  };

  agent =
    name: words: rest:
    {
      Label = "${s.labelPrefix}.${name}";
      ProgramArguments = words;
      EnvironmentVariables = environment;
      # 077; launchd reads it in decimal.
      Umask = 63;
      # As LimitCORE above; the hard one, so that no program raises it again.
      HardResourceLimits.Core = 0;
      SoftResourceLimits.Core = 0;
    }
    // whenSet (s.logDir != null) {
      StandardOutPath = "${s.logDir}/${name}.log";
      StandardErrorPath = "${s.logDir}/${name}.log";
    }
    // rest;
in
{
  inherit authDir programs watched;

  # As a shell or launchd is to see them, and as systemd is to read them.
  inherit environment systemdEnvironment;

  systemd = {
    services = {
      cliproxyapi = proxyService;
    }
    // whenSet (isSystem && s.hydrate) { cliproxyapi-hydrate = hydrateService; }
    // whenSet s.backup {
      cliproxyapi-backup = backupService;
      cliproxyapi-changed = changedService;
    }
    // whenSet s.sync { cliproxyapi-sync = oneshot "Bring CLIProxyAPI's credentials in step" programs.sync; };
    paths = whenSet s.backup { cliproxyapi-backup = backupPath; };
    timers = whenSet s.sync { cliproxyapi-sync = syncTimer; };
  };

  launchd.agents = {
    # Exit codes say nothing about the proxy; the throttle bounds the loop on a wrong configuration.
    cliproxyapi = agent "cliproxyapi" programs.proxy {
      RunAtLoad = true;
      KeepAlive = true;
      ThrottleInterval = 10;
      ExitTimeOut = 30;
    };
  }
  // whenSet s.backup {
    # Watches are sometimes dead after a reboot: hence also at load, and the interval of sync.
    cliproxyapi-backup = agent "cliproxyapi-backup" programs.backup {
      WatchPaths = watched;
      RunAtLoad = true;
      ThrottleInterval = 1;
      ProcessType = "Background";
    };
  }
  // whenSet s.sync {
    cliproxyapi-sync = agent "cliproxyapi-sync" programs.sync {
      StartInterval = s.interval;
      RunAtLoad = true;
      ProcessType = "Background";
    };
  };
}
