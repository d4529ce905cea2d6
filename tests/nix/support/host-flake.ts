import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STAND_IN_PROXY } from '../../support/bundle.ts';
import { root, tree } from './nix.ts';

/**
 * A flake that stands for nixpkgs. It is the tree itself, but for what a stand-in for nixpkgs does not have or would
 * build for hours: esbuild, which is taken from `node_modules`, this machine's certificates, the one of the coreutils
 * that is called, an ssh that nothing here calls, and the stand-in for the proxy.
 */
export function hostFlake(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'nixpkgs-'));
  const esbuild = join(root, `ts/node_modules/@esbuild/${process.platform}-${process.arch}/bin/esbuild`);
  writeFileSync(
    join(path, 'flake.nix'),
    `{
      inputs.tree.url = "path:${tree}";
      outputs = { self, tree }:
        let
          given = name: from: to: derivation {
            inherit name;
            system = builtins.currentSystem;
            builder = "/bin/sh";
            args = [ "-c" "PATH=/usr/bin:/bin; mkdir -p $(dirname $out/\${to}); cp \${builtins.path { inherit name; path = /. + from; }} $out/\${to}" ];
          };
          tools = {
            esbuild = given "esbuild" "${esbuild}" "bin/esbuild";
            cliproxyapi = given "cliproxyapi" "${STAND_IN_PROXY}" "bin/cli-proxy-api" // { meta.mainProgram = "cli-proxy-api"; };
            coreutils = given "coreutils" "/usr/bin/sleep" "bin/sleep";
            openssh = given "openssh" "/bin/false" "bin/ssh";
            cacert = given "cacert" "/etc/ssl/certs/ca-certificates.crt" "etc/ssl/certs/ca-bundle.crt";
          };
          arguments = f: builtins.functionArgs (if builtins.isFunction f then f else import f);
        in
        {
          inherit (tree) lib;
          legacyPackages = builtins.mapAttrs (_: pkgs: pkgs // {
            callPackage = f: args: pkgs.callPackage f (builtins.intersectAttrs (arguments f) tools // args);
          }) tree.legacyPackages;
        };
    }`,
  );
  return { path, remove: () => rmSync(path, { recursive: true }) };
}
