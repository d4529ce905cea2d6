{
  description = "Keeps CLIProxyAPI's OAuth logins safe and in step across machines";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forAll = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      # The path inside makes importing one twice harmless; around it a set, since `nix flake check` of older
      # versions knows no paths.
      module = path: { default.imports = [ path ]; };
    in
    {
      packages = forAll (
        pkgs:
        rec {
          cliproxyapi-sync = pkgs.callPackage ./nix/package.nix { };
          default = cliproxyapi-sync;
          switch = pkgs.callPackage ./nix/switch { inherit cliproxyapi-sync; };
        }
      );

      apps = forAll (
        pkgs:
        let
          packages = self.packages.${pkgs.stdenv.hostPlatform.system};
          app = package: name: description: {
            type = "app";
            program = "${package}/bin/${name}";
            meta = { inherit description; };
          };
          ours = app packages.default;
        in
        rec {
          default = cliproxyapi-sync;
          cliproxyapi-sync = ours "cliproxyapi-sync" "All commands";
          hydrate = ours "hydrate" "Bring this machine's credentials up to date from the store";
          backup = ours "backup" "Bring what changed here to the store";
          start = ours "start" "Sync, render the config, become the proxy";
          cliproxyapi = app packages.switch.command "cliproxyapi" "Run the proxy's program with a sync before and after";
          switch = app packages.switch "switch" "Run the services on this machine, without a Nix configuration";
        }
      );

      overlays.default = final: _: { cliproxyapi-sync = final.callPackage ./nix/package.nix { }; };

      nixosModules = module ./modules/nixos.nix;
      darwinModules = module ./modules/darwin.nix;
      homeModules = module ./modules/home-manager.nix;
      homeManagerModules = self.homeModules;

      devShells = forAll (pkgs: {
        default = pkgs.callPackage ./nix/dev-shell.nix { };
      });

      checks = forAll (
        pkgs:
        import ./nix/checks.nix {
          inherit pkgs nixpkgs;
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        }
      );

      formatter = lib.filterAttrs (_: formatter: formatter != null) (forAll (pkgs: pkgs.nixfmt-tree or null));

      templates = {
        nixos = {
          path = ./templates/nixos;
          description = "A NixOS server that runs CLIProxyAPI";
        };
        home-manager = {
          path = ./templates/home-manager;
          description = "CLIProxyAPI in a user's home, on Linux or macOS";
        };
        darwin = {
          path = ./templates/darwin;
          description = "CLIProxyAPI on a Mac with nix-darwin";
        };
      };
    };
}
