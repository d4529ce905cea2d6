# Option types whose name, which is in the error that a user sees, says what to write instead.
{ lib }:
let
  inherit (lib)
    hasPrefix
    isString
    mkOptionType
    options
    ;
  inStore = path: hasPrefix "${builtins.storeDir}/" path || hasPrefix "/nix/store/" path;
  mkPath =
    args:
    mkOptionType (
      args
      // {
        descriptionClass = "noun";
        merge = options.mergeEqualOption;
      }
    );
in
{
  # agenix gives a home-manager user ${XDG_RUNTIME_DIR}/agenix/NAME, systemd's own spelling is %t.
  secretPath = mkPath {
    name = "secretPath";
    description = ''path outside the Nix store, which every user can read: a string such as "/run/secrets/cliproxyapi.env" (not ./cliproxyapi.env, which Nix copies into the store)'';
    check =
      path:
      isString path
      && !inStore path
      && builtins.any (prefix: hasPrefix prefix path) [
        "/"
        "~/"
        "%t/"
        "$XDG_RUNTIME_DIR/"
        "\${XDG_RUNTIME_DIR}/"
        # What agenix gives on macOS: an assertion says what to do about it.
        "$(getconf "
      ];
  };

  directory = mkPath {
    name = "directory";
    description = ''absolute path of a directory outside the Nix store, as a string such as "/srv/cliproxyapi" ("~" and variables are not expanded)'';
    check = path: isString path && hasPrefix "/" path && !inStore path;
  };
}
