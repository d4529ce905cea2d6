{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  inputs.home-manager.url = "github:nix-community/home-manager";
  inputs.home-manager.inputs.nixpkgs.follows = "nixpkgs";
  # The repository, or the directory, that holds cliproxyapi-sync.
  inputs.cliproxyapi-sync.url = "git+file:///home/me/cliproxyapi-sync";
  inputs.cliproxyapi-sync.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    {
      nixpkgs,
      home-manager,
      cliproxyapi-sync,
      ...
    }:
    {
      homeConfigurations.me = home-manager.lib.homeManagerConfiguration {
        pkgs = nixpkgs.legacyPackages.x86_64-linux; # a Mac: aarch64-darwin
        modules = [
          cliproxyapi-sync.homeModules.default
          {
            home.username = "me";
            home.homeDirectory = "/home/me"; # a Mac: /Users/me
            home.stateVersion = "26.05";
            # The store's address and keys are read from ~/dotfiles/.env (chmod 600).
            services.cliproxyapi.enable = true;
          }
        ];
      };
    };
}
