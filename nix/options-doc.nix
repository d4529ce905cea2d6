# The options of the three modules as data, for docs/reference/nix-options.md: a list of
# { host, options = [ { name, type, default, example, description } ... ] }.
#
#   nix-instantiate --eval --strict --json nix/options-doc.nix --arg lib 'import /path/to/nixpkgs/lib'
{ lib }:
let
  # Of pkgs, the options need names alone. What is shown of a package is its `defaultText`.
  pkgs = {
    formats.yaml = _: {
      type =
        lib.types.attrsOf lib.types.anything
        // {
          description = "YAML value";
        };
    };
    cliproxyapi = { };
    callPackage = _: _: { };
    stdenv.hostPlatform.isDarwin = false;
  };
  hosts = [
    {
      host = "NixOS";
      user = "cliproxyapi";
      group = "cliproxyapi";
    }
    {
      host = "home-manager";
      user = "me";
      homeDirectory = "/home/me";
    }
    {
      host = "nix-darwin";
      user = "me";
      homeDirectory = "/Users/me";
    }
  ];
  evaluated =
    arguments:
    lib.evalModules {
      modules = [
        (import ../modules/options.nix arguments)
        {
          # What the options' own checks are written to.
          options.assertions = lib.mkOption { internal = true; };
        }
      ];
      specialArgs = { inherit pkgs; };
    };
  # A default or example: its own text, or the value as Nix has it.
  shown =
    value:
    if value ? text then
      value.text
    else
      lib.generators.toPretty { multiline = false; } value;
  document = option: {
    name = lib.showOption option.loc;
    description =
      if builtins.isString (option.description or "") then option.description or "" else option.description.text;
    type = option.type.description;
    default =
      if option ? defaultText then
        shown (if builtins.isString option.defaultText then { text = option.defaultText; } else option.defaultText)
      else if option ? default then
        shown option.default
      else
        null;
    example = if option ? example then shown option.example else null;
  };
in
map (arguments: {
  inherit (arguments) host;
  options = map document (
    builtins.filter (option: !(option.internal or false)) (
      lib.collect lib.isOption (evaluated arguments).options.services
    )
  );
}) hosts
