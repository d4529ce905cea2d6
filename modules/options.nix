# The options, the same tree for NixOS, home-manager and nix-darwin. What differs between hosts is an argument;
# an option that a host lacks is there and keeps its default, and setting it says why it has no effect.
{
  # "NixOS", "home-manager" or "nix-darwin"
  host,
  # Where a user's own files are; null for the system user of NixOS.
  homeDirectory ? null,
  user,
  group ? null,
}:
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.cliproxyapi;
  checks = import ./checks.nix { inherit lib; };
  ours = import ./types.nix { inherit lib; };
  onNixos = host == "NixOS";
  yaml = pkgs.formats.yaml { };
  # A default below the user's home; on NixOS, whose user has none, another one.
  inHome = below: otherwise: {
    default = if onNixos then otherwise else "${homeDirectory}/${below}";
    defaultText = if onNixos then otherwise else "~/${below}";
  };
  mkEnabled =
    what:
    mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether ${what}.";
    };
in
{
  _file = ./options.nix;
  key = toString ./options.nix;

  options.services.cliproxyapi = {
    enable = lib.mkEnableOption "CLIProxyAPI, with its credentials kept in step with a shared store";

    package = lib.mkPackageOption pkgs "cliproxyapi" { };

    host = mkOption {
      type = types.str;
      default = "127.0.0.1";
      description = "Address on which the proxy listens. `settings` wins over it.";
    };

    port = mkOption {
      type = types.port;
      default = 8317;
      description = "Port on which the proxy listens. `settings` wins over it.";
    };

    settings = mkOption {
      inherit (yaml) type;
      default = { };
      example = lib.literalExpression ''
        {
          api-keys = [ { _secret = "/run/secrets/cliproxyapi-key"; } "__SECOND_KEY__" ];
          remote-management.secret-key = "__MANAGEMENT_KEY__";
        }
      '';
      description = ''
        The proxy's configuration. A value `{ _secret = "/path"; }` becomes the content of that file, and
        `__NAME__` the value of the variable NAME, when the proxy starts; neither enters the Nix store. The
        auth directory is always ours.
      '';
    };

    configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "A configuration that the proxy gets as it is, instead of `settings`.";
    };

    templateFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./config.template.yaml";
      description = ''
        A configuration with placeholders `__NAME__`, instead of `settings`. Placeholders alone: a path literal is
        copied into the Nix store, which every user can read.
      '';
    };

    environmentFile = mkOption {
      type = types.nullOr ours.secretPath;
      default = null;
      example = "/run/secrets/cliproxyapi.env";
      description =
        if onNixos then
          "File with variables, read by systemd before it drops privileges (`EnvironmentFile=`)."
        else
          "One more file with variables, read before `environmentFiles`.";
    };

    environmentFiles = mkOption {
      type = types.listOf ours.secretPath;
      default = if onNixos then [ ] else [ "${homeDirectory}/dotfiles/.env" ];
      defaultText = lib.literalExpression (if onNixos then "[ ]" else ''[ "''${home}/dotfiles/.env" ]'');
      example = [ "/run/secrets/cliproxyapi.env" ];
      description = ''
        Files with `NAME=value` lines: the store's address and keys, and what placeholders stand for. A later file
        wins over an earlier one. ${
          if onNixos then
            "Read by root and handed over as credentials, so they may be root's alone."
          else
            "The default one may be missing."
        }
      '';
    };

    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        OBJECTSTORE_ENDPOINT = "https://s3.example.com";
        OBJECTSTORE_BUCKET = "logins";
      };
      description = "Variables for our programs and the proxy. Nothing secret: it ends up in the Nix store.";
    };

    localModel = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the proxy uses its built-in list of models only.";
    };

    extraFlags = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Further arguments for the proxy.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to open the proxy's port in the firewall. NixOS only.";
    };

    user = mkOption {
      type = types.nullOr types.str;
      default = user;
      defaultText =
        if onNixos then
          user
        else
          lib.literalExpression (
            if host == "nix-darwin" then "config.system.primaryUser" else "config.home.username"
          );
      description = "User that the services run as. Not in home-manager.";
    };

    group = mkOption {
      type = types.nullOr types.str;
      default = group;
      description = "Group that the services run as. NixOS only.";
    };

    dataDir = mkOption (inHome ".cli-proxy-api" "/var/lib/cliproxyapi" // {
      type = ours.directory;
      description = "The proxy's directory: its config, and credentials in `objectstore/auths` (`pgstore/auths`, `gitstore/auths` with that `nativeStore`).";
    });

    nativeStore = mkOption {
      type = types.nullOr (
        types.enum [
          "s3"
          "postgres"
          "git"
        ]
      );
      default = null;
      description = ''
        The store that the proxy talks to itself (CLIProxyAPI's native store; its variables are in `environmentFiles`),
        with our programs beside it. Null: only our programs talk to the store, and the proxy runs on files.
      '';
    };

    ccsDir = mkOption (inHome ".ccs/cliproxy/auth" null // {
      type = types.nullOr ours.directory;
      description = "Where CCS keeps its credentials; null if it is not to be looked at.";
    });

    backup.enable = mkEnabled "a login or refresh is brought to the store as soon as its file changes";

    hydrate.enable = mkEnabled (
      if onNixos then
        "credentials are fetched before the proxy starts"
      else
        "a switch fetches credentials from the store"
    );

    sync = {
      enable = mkEnabled "everything is brought in step at an interval";

      interval = mkOption {
        type = types.ints.positive;
        default = 300;
        description = "Seconds between two runs.";
      };

      package = mkOption {
        type = types.package;
        default = pkgs.callPackage ../nix/package.nix { };
        defaultText = lib.literalExpression "pkgs.callPackage ./nix/package.nix { }";
        description = "Our programs. Built with your nixpkgs; no overlay is needed.";
      };
    };

    createWrapper = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether to install `cliproxyapi` and `cliproxyapi-sync` as commands that know these settings:
        `cliproxyapi --claude-login` logs in and brings the login to the store.
      '';
    };

    logDir = mkOption (inHome "Library/Logs" null // {
      type = types.nullOr ours.directory;
      description = "Directory of the log files. macOS only; elsewhere the journal has them.";
    });
  };

  config = lib.mkIf cfg.enable {
    assertions = checks {
      inherit cfg host;
      isDarwin = pkgs.stdenv.hostPlatform.isDarwin;
      defaults = {
        inherit user group;
        logDir = options.services.cliproxyapi.logDir.default;
      };
    };
  };
}
