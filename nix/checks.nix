# What `nix flake check` looks at. The other hosts' modules need inputs that only development has: `nix flake check
# ./dev` evaluates those.
{
  pkgs,
  nixpkgs,
  package,
}:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) isLinux system;

  nixos = nixpkgs.lib.nixosSystem {
    inherit system;
    modules = [
      ../modules/nixos.nix
      (import ./example.nix { inherit package; })
      {
        nixpkgs.pkgs = pkgs;
        boot.isContainer = true;
        system.stateVersion = "25.05";
      }
    ];
  };
  units = lib.filterAttrs (name: _: lib.hasPrefix "cliproxyapi" name) nixos.config.systemd.units;
in
{
  inherit package;
}
// lib.optionalAttrs isLinux {
  nixos-module = pkgs.runCommand "cliproxyapi-nixos-units" { } (
    ''
      mkdir $out
    ''
    + lib.concatStrings (
      lib.mapAttrsToList (name: unit: ''
        cat > $out/${name} << 'EOF'
        ${builtins.unsafeDiscardStringContext unit.text}
        EOF
      '') units
    )
  );
}
# The whole story on virtual machines: a login, its way through the bucket, another machine, a deletion.
// lib.optionalAttrs (isLinux && pkgs ? testers.runNixOSTest && pkgs ? qemu_test) {
  vm = pkgs.testers.runNixOSTest (import ./vm-test.nix);
}
