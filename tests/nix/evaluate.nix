# What a user's modules give on one host, as data; evaluated by the tests with a nixpkgs that they are given.
{
  nixpkgs,
  home-manager,
  nix-darwin,
  # nixos | home-manager | home-manager-darwin | darwin
  host,
  modules,
}:
let
  system =
    if
      builtins.elem host [
        "darwin"
        "home-manager-darwin"
      ]
    then
      "aarch64-darwin"
    else
      "x86_64-linux";
  pkgs = import nixpkgs { inherit system; };
  inherit (pkgs) lib;
  others = import ../../dev/evaluate.nix {
    inherit
      lib
      nixpkgs
      home-manager
      nix-darwin
      ;
  };

  # The package is not what is looked at here, and need not be built.
  package.services.cliproxyapi.sync.package = lib.mkDefault (
    pkgs.runCommand "cliproxyapi-sync" { } "mkdir $out"
  );
  all = modules ++ [ package ];

  nixos =
    import "${toString nixpkgs}/nixos/lib/eval-config.nix" {
      inherit lib;
      system = null;
      modules = all ++ [
        ../../modules/nixos.nix
        {
          nixpkgs.pkgs = pkgs;
          boot.isContainer = true;
          system.stateVersion = "25.05";
        }
      ];
    };
  home = others.home pkgs all;
  darwin = others.darwin pkgs all;

  ours = lib.filterAttrs (name: _: lib.hasPrefix "cliproxyapi" name);
  evaluated =
    {
      inherit nixos darwin;
      home-manager = home;
      home-manager-darwin = home;
    }
    .${host};
  inherit (evaluated) config;
  # What our modules say in an option: what others say of it needs packages that are not looked at here.
  oursIn =
    option:
    lib.concatMap (
      { file, value }: lib.optionals (lib.hasPrefix (toString ../../modules) (toString file)) value
    ) option.definitionsWithLocations;
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) (oursIn evaluated.options.assertions));
  strip = text: builtins.unsafeDiscardStringContext text;

  result =
    {
      nixos = {
        units = lib.mapAttrs (_: unit: strip unit.text) (ours config.systemd.units);
        tmpfiles = config.systemd.tmpfiles.settings."10-cliproxyapi" or { };
        ports = config.networking.firewall.allowedTCPPorts;
        users = lib.attrNames (ours config.users.users);
        commands = commandsOf evaluated.options.environment.systemPackages;
      };
      home-manager = {
        inherit (config.systemd.user) paths timers;
        services = ours config.systemd.user.services;
        activation = lib.mapAttrs (_: entry: strip entry.data) (ours config.home.activation);
        order = lib.mapAttrs (_: entry: { inherit (entry) after before; }) (ours config.home.activation);
        commands = commandsOf evaluated.options.home.packages;
      };
      home-manager-darwin = {
        agents = lib.mapAttrs (_: agent: agent.config) (ours config.launchd.agents);
        units = lib.attrNames (ours config.systemd.user.services);
      };
      darwin = {
        agents = lib.mapAttrs (_: agent: agent.serviceConfig) (ours config.launchd.user.agents);
        activation = strip config.system.activationScripts.postActivation.text;
        commands = commandsOf evaluated.options.environment.systemPackages;
      };
    }
    .${host};
  commandsOf = option: map (package: package.name) (oursIn option);
in
{
  inherit failed;
  result = if failed == [ ] then result else null;
}
