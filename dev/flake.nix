# Inputs that only development needs, so that users of the flake do not get them: `nix flake check ./dev`.
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    home-manager = {
      url = "github:nix-community/home-manager";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    nix-darwin = {
      url = "github:nix-darwin/nix-darwin";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      nixpkgs,
      home-manager,
      nix-darwin,
      ...
    }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      inherit (import ./evaluate.nix { inherit lib nixpkgs home-manager nix-darwin; }) home darwin;
      example = pkgs: import ../nix/example.nix { package = pkgs.callPackage ../nix/package.nix { }; };
      # Evaluated for `system`, written down by the machine at hand: a Mac's agents need no Mac to be looked at.
      asFile =
        pkgs: name: value:
        pkgs.runCommand name {
          json = builtins.unsafeDiscardStringContext (builtins.toJSON value);
          passAsFile = [ "json" ];
        } "cp $jsonPath $out";
    in
    {
      checks = lib.genAttrs systems (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          check = name: asFile pkgs "${name}.json";
          homeOn = other: (home nixpkgs.legacyPackages.${other} [ (example nixpkgs.legacyPackages.${other}) ]).config;
          darwinOn = other: (darwin nixpkgs.legacyPackages.${other} [ (example nixpkgs.legacyPackages.${other}) ]).config;
        in
        {
          home-manager-linux = check "home-manager-linux" (
            let
              inherit (homeOn "x86_64-linux") systemd home;
            in
            {
              inherit (systemd.user) services paths timers;
              activation = home.activation.cliproxyapiHydrate.data;
            }
          );
          home-manager-darwin = check "home-manager-darwin" (
            lib.mapAttrs (_: agent: agent.config) (homeOn "aarch64-darwin").launchd.agents
          );
          nix-darwin = check "nix-darwin" {
            agents = lib.mapAttrs (_: agent: agent.serviceConfig) (darwinOn "aarch64-darwin").launchd.user.agents;
            activation = (darwinOn "aarch64-darwin").system.activationScripts.postActivation.text;
          };
        }
      );
    };
}
