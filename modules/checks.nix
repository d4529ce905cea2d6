# What the types cannot say: assertions, each naming the option and the remedy.
{ lib }:
{
  cfg,
  host,
  isDarwin,
  defaults,
}:
let
  option = name: "services.cliproxyapi.${name}";
  inherit (import ./config-template.nix { inherit lib; }) secretsIn;
  types = import ./types.nix { inherit lib; };

  sources = lib.filter (name: name != null) [
    (if cfg.settings != { } then "settings" else null)
    (if cfg.configFile != null then "configFile" else null)
    (if cfg.templateFile != null then "templateFile" else null)
  ];

  # What is set here although this host has no use for it: name -> why.
  useless =
    lib.optionalAttrs (host != "NixOS") {
      openFirewall = lib.optional cfg.openFirewall "${host} has no firewall for it to open: remove it";
      group = lib.optional (cfg.group != defaults.group) "the services run in the user's own group: remove it";
    }
    // lib.optionalAttrs (host == "home-manager") {
      user = lib.optional (cfg.user != defaults.user) "the services run as the user of this home: remove it";
    }
    // lib.optionalAttrs (!isDarwin) {
      logDir = lib.optional (cfg.logDir != defaults.logDir) "the logs are in the journal (journalctl -u cliproxyapi): remove it";
    };

  # Upper case -> what to use instead.
  secrets = lib.genAttrs [
    "OBJECTSTORE_ACCESS_KEY"
    "OBJECTSTORE_SECRET_KEY"
    "PGSTORE_DSN"
    "GITSTORE_GIT_TOKEN"
    "MANAGEMENT_PASSWORD"
    "HOME_JWT"
  ] (_: "the Nix store, which every user can read: move it into a file and name that in ${option "environmentFiles"}");
  elsewhere = {
    CLIPROXY_HOME = option "dataDir";
    CLIPROXY_CCS_DIR = option "ccsDir";
    CLIPROXY_BIN = option "package";
    CLIPROXY_STORE_MODE = option "nativeStore";
    CLIPROXY_ENV_FILE = option "environmentFiles";
    CLIPROXY_ENV_FILE_OPTION = option "environmentFiles";
    CLIPROXY_CONFIG_TEMPLATE = option "templateFile";
    CLIPROXY_CONFIG_DEFAULT = option "settings";
  };
  variables = lib.attrNames cfg.environment;
  withPassword = value: builtins.match ".*://[^/@]*:[^/@]+@.*" value != null;

  files = lib.optional (cfg.environmentFile != null) cfg.environmentFile ++ cfg.environmentFiles;
in
[
  {
    assertion = lib.length sources <= 1;
    message = "${lib.concatMapStringsSep " and " option sources} are set, and only one of them can be the proxy's configuration: keep one.";
  }
  {
    assertion = cfg.user != null;
    message = "${option "user"} is not known: set system.primaryUser, or ${option "user"}, to the name of the user who runs the proxy.";
  }
  {
    assertion = cfg.ccsDir != "${cfg.dataDir}/objectstore/auths";
    message = "${option "ccsDir"} is the proxy's own auth directory: set it to CCS's directory, or to null.";
  }
  {
    assertion = !(host == "NixOS" && cfg.ccsDir != null && lib.hasPrefix "/home/" cfg.ccsDir && cfg.user == defaults.user);
    message = "${option "ccsDir"} (${toString cfg.ccsDir}) is in a home that the user ${toString cfg.user} cannot read: set ${option "user"} to the owner of that home, or use the home-manager module.";
  }
]
++ lib.concatLists (
  lib.mapAttrsToList (
    name:
    map (why: {
      assertion = false;
      message = "${option name} has no effect in ${host}: ${why}.";
    })
  ) useless
)
++ map (name: {
  assertion = !(secrets ? ${lib.toUpper name}) && !withPassword cfg.environment.${name};
  message = "${option "environment"}.${name} would put a secret into ${
    secrets.${lib.toUpper name} or secrets.PGSTORE_DSN
  }.";
}) variables
++ map (name: {
  assertion = !(elsewhere ? ${lib.toUpper name});
  message = "${option "environment"}.${name} is set by the module: use ${elsewhere.${lib.toUpper name} or ""}.";
}) variables
++ map (name: {
  assertion = builtins.match "[A-Za-z_][A-Za-z0-9_]*" name != null;
  message = "${option "environment"} has \"${name}\", which is no name of a variable: use letters, digits and _.";
}) variables
++ map (path: {
  assertion = !lib.hasInfix ":" path;
  message = "${option "environmentFiles"} has \"${path}\", and a colon separates paths: rename the file.";
}) files
++ map (path: {
  assertion =
    !lib.hasInfix "$(" path && !(isDarwin && (lib.hasInfix "XDG_RUNTIME_DIR" path || lib.hasPrefix "%t/" path));
  message = "${option "environmentFiles"} has \"${path}\", which is not expanded here: give the secret an absolute path (agenix: age.secrets.NAME.path).";
}) files
++ map (secret: {
  assertion = types.secretPath.check secret.path;
  message = "${option "settings"}.${secret.option}._secret is not a ${types.secretPath.description}.";
}) (secretsIn cfg.settings)
