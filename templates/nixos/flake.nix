{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  # The repository, or the directory, that holds cliproxyapi-sync.
  inputs.cliproxyapi-sync.url = "git+file:///etc/nixos/cliproxyapi-sync";
  inputs.cliproxyapi-sync.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, cliproxyapi-sync, ... }:
    {
      nixosConfigurations.server = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          ./configuration.nix # what this machine has already
          cliproxyapi-sync.nixosModules.default
          {
            services.cliproxyapi = {
              enable = true;
              # OBJECTSTORE_ENDPOINT, _BUCKET, _ACCESS_KEY and _SECRET_KEY; root's alone (chmod 600).
              environmentFiles = [ "/etc/secrets/cliproxyapi.env" ];
              settings.api-keys = [ { _secret = "/etc/secrets/cliproxyapi-key"; } ];
            };
          }
        ];
      };
    };
}
