# From the options to what services.nix takes, the same for all hosts.
{
  lib,
  pkgs,
  cfg,
  # Of the user whose services they are; null for the system user of NixOS.
  homeDirectory ? null,
}:
let
  inherit (import ./config-template.nix { inherit lib; }) secretsIn template effective;
  address = { inherit (cfg) host port; };
  # A path literal goes into the Nix store; a string stays what it is.
  toPath = path: if builtins.isPath path then "${path}" else toString path;
  inHome = homeDirectory != null;
  # It may be missing at run time, unlike one that was set.
  isDefault = inHome && files == [ "${homeDirectory}/dotfiles/.env" ];
  files = lib.optional (cfg.environmentFile != null) cfg.environmentFile ++ cfg.environmentFiles;
  configured = cfg.settings != { } || address != { host = "127.0.0.1"; port = 8317; };
in
{
  # Where the proxy listens; null where that is in a file that was not written here.
  listens =
    if cfg.configFile != null || cfg.templateFile != null then null else effective address cfg.settings;

  services = {
    bin = "${cfg.sync.package}/bin";
    proxy = lib.getExe cfg.package;
    inherit (cfg)
      dataDir
      nativeStore
      ccsDir
      logDir
      ;
    path = import ./path.nix { inherit lib pkgs; };
    # For messages: what a person changes where a file is not as it should be.
    environment = cfg.environment // {
      CLIPROXY_ENV_FILE_OPTION = "services.cliproxyapi.environmentFiles";
    };
    environmentFiles = if isDefault then null else files;
    secrets = map (secret: { inherit (secret) name path; }) (secretsIn cfg.settings);
    configFile = if cfg.configFile == null then null else toPath cfg.configFile;
    template =
      if cfg.configFile != null then
        null
      else if cfg.templateFile != null then
        toPath cfg.templateFile
      else
        toString (
          (pkgs.formats.yaml { }).generate "cliproxyapi-config.template.yaml" (template address cfg.settings)
        );
    # A config that a user wrote into dataDir goes first.
    templateIsDefault = inHome && cfg.templateFile == null && !configured;
    extraArgs = lib.optional cfg.localModel "-local-model" ++ cfg.extraFlags;
    backup = cfg.backup.enable;
    hydrate = cfg.hydrate.enable;
    sync = cfg.sync.enable;
    inherit (cfg.sync) interval;
  };
}
