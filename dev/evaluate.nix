# What a user's modules give (`config` and `options`) under each of the other hosts' module systems.
{
  lib,
  nixpkgs,
  home-manager,
  nix-darwin,
}:
{
  home =
    pkgs: modules:
    let
      hmLib = import (home-manager + "/modules/lib/stdlib-extended.nix") lib;
      home = if pkgs.stdenv.hostPlatform.isDarwin then "/Users/ada" else "/home/ada";
    in
    hmLib.evalModules {
      class = "homeManager";
      specialArgs.modulesPath = home-manager + "/modules";
      modules =
        modules
        ++ [
          ../modules/home-manager.nix
          {
            home.username = "ada";
            home.homeDirectory = home;
            home.stateVersion = "26.05";
            _module.args.pkgs = lib.mkForce pkgs;
          }
        ]
        ++ import (home-manager + "/modules/modules.nix") {
          lib = hmLib;
          check = true;
          useNixpkgsModule = false;
          inherit pkgs;
        };
    };

  darwin =
    pkgs: modules:
    import (nix-darwin + "/eval-config.nix") {
      inherit lib;
      enableNixpkgsReleaseCheck = false;
      modules = modules ++ [
        ../modules/darwin.nix
        {
          nixpkgs.pkgs = pkgs;
          nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
          nixpkgs.source = nixpkgs;
          system.stateVersion = 6;
          system.primaryUser = "ada";
        }
      ];
    };
}
