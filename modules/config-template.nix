# From `settings` to the template that `start` renders: every `{ _secret = path; }` becomes a placeholder.
{ lib }:
let
  # A key may have a dot in it.
  keyOf = builtins.toJSON;

  isSecret = value: builtins.isAttrs value && value ? _secret;

  # [ { prefix = [ "api-keys" "0" ]; option = "api-keys.0"; path = "/run/..."; } ]
  leaves =
    prefix: value:
    let
      below = name: leaves (prefix ++ [ name ]);
    in
    if isSecret value then
      [
        {
          inherit prefix;
          option = lib.concatStringsSep "." prefix;
          path = value._secret;
        }
      ]
    else if builtins.isAttrs value then
      lib.concatLists (lib.mapAttrsToList below value)
    else if builtins.isList value then
      lib.concatLists (lib.imap0 (index: below (toString index)) value)
    else
      [ ];

  secretsIn =
    settings:
    lib.imap0 (index: leaf: leaf // { name = "CLIPROXY_SECRET_${toString index}"; }) (leaves [ ] settings);

  withPlaceholders =
    settings:
    let
      names = builtins.listToAttrs (
        map (secret: lib.nameValuePair (keyOf secret.prefix) "__${secret.name}__") (secretsIn settings)
      );
      replace =
        prefix: value:
        if isSecret value then
          names.${keyOf prefix}
        else if builtins.isAttrs value then
          lib.mapAttrs (name: replace (prefix ++ [ name ])) value
        else if builtins.isList value then
          lib.imap0 (index: replace (prefix ++ [ (toString index) ])) value
        else
          value;
    in
    replace [ ] settings;

  # Version 8 of the proxy has `server.{host,port}`, and migrates the flat keys of version 7 where it finds them.
  isVersion8 = settings: settings ? server || (settings.config-version or 7) >= 8;

  address =
    { host, port }: settings: if isVersion8 settings then { server = { inherit host port; }; } else { inherit host port; };
in
{
  inherit secretsIn;

  # The content of the template.
  template = own: settings: withPlaceholders (lib.recursiveUpdate (address own settings) settings);

  # Where the proxy listens in the end.
  effective =
    own: settings:
    let
      merged = lib.recursiveUpdate (address own settings) settings;
    in
    if isVersion8 settings then merged.server else { inherit (merged) host port; };
}
