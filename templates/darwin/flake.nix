{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
  inputs.nix-darwin.url = "github:nix-darwin/nix-darwin";
  inputs.nix-darwin.inputs.nixpkgs.follows = "nixpkgs";
  # The repository, or the directory, that holds cliproxyapi-sync.
  inputs.cliproxyapi-sync.url = "git+file:///Users/me/cliproxyapi-sync";
  inputs.cliproxyapi-sync.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nix-darwin, cliproxyapi-sync, ... }:
    {
      darwinConfigurations.mac = nix-darwin.lib.darwinSystem {
        modules = [
          cliproxyapi-sync.darwinModules.default
          {
            nixpkgs.hostPlatform = "aarch64-darwin";
            system.stateVersion = 6;
            system.primaryUser = "me";
            # The store's address and keys are read from ~/dotfiles/.env (chmod 600).
            services.cliproxyapi.enable = true;
          }
        ];
      };
    };
}
