# `cliproxyapi` and `cliproxyapi-sync` as commands that know the module's settings.
{
  lib,
  pkgs,
  package,
  # Shell text that ends in replacing the shell by "$program" "$@".
  run,
}:
let
  command =
    name:
    pkgs.writeShellScript name ''
      program=${package}/bin/${name}
      ${run}
    '';
in
pkgs.runCommand "cliproxyapi-commands"
  {
    preferLocalBuild = true;
    meta.mainProgram = "cliproxyapi";
  }
  ''
    mkdir -p $out/bin
    ln -s ${command "cliproxyapi"} $out/bin/cliproxyapi
    ln -s ${command "cliproxyapi-sync"} $out/bin/cliproxyapi-sync
    ln -s ${package}/share $out/share
  ''
