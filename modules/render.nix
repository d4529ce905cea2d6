# Text of units and agents, for where no module system writes it. Pure, over `builtins` alone.
let
  names = builtins.attrNames;
  toList = value: if builtins.isList value then value else [ value ];
  scalar =
    value:
    if value == true then
      "true"
    else if value == false then
      "false"
    else
      toString value;

  section =
    name: values:
    builtins.concatStringsSep "\n" (
      [ "[${name}]" ]
      ++ builtins.concatMap (key: map (value: "${key}=${scalar value}") (toList values.${key})) (names values)
    )
    + "\n";

  # Unit first and Install last, as everyone writes them.
  order =
    unit:
    builtins.filter (name: unit ? ${name}) (
      [ "Unit" ]
      ++ builtins.filter (name: name != "Unit" && name != "Install") (names unit)
      ++ [ "Install" ]
    );

  escape =
    builtins.replaceStrings
      [
        "&"
        "<"
        ">"
      ]
      [
        "&amp;"
        "&lt;"
        "&gt;"
      ];

  node =
    indent: value:
    let
      inner = indent + "  ";
    in
    if value == true then
      "${indent}<true/>\n"
    else if value == false then
      "${indent}<false/>\n"
    else if builtins.isInt value then
      "${indent}<integer>${toString value}</integer>\n"
    else if builtins.isList value then
      "${indent}<array>\n${builtins.concatStringsSep "" (map (node inner) value)}${indent}</array>\n"
    else if builtins.isAttrs value then
      "${indent}<dict>\n${
        builtins.concatStringsSep "" (
          map (key: "${inner}<key>${escape key}</key>\n${node inner value.${key}}") (names value)
        )
      }${indent}</dict>\n"
    else
      "${indent}<string>${escape value}</string>\n";
in
rec {
  # { Unit = { Description = "..."; After = [ ... ]; }; Service = ...; } -> text of a unit file.
  unit = attributes: builtins.concatStringsSep "\n" (map (name: section name attributes.${name}) (order attributes));

  # { Label = "..."; ... } -> text of a property list.
  plist = attributes: ''
    <?xml version="1.0" encoding="UTF-8"?>
    <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
    <plist version="1.0">
    ${node "" attributes}</plist>
  '';

  # What services.nix gives -> { "cliproxyapi.service" = text; ... }
  unitFiles =
    { services, paths, timers }:
    let
      files =
        ending: units:
        builtins.listToAttrs (
          map (name: {
            name = "${name}.${ending}";
            value = unit units.${name};
          }) (names units)
        );
    in
    files "service" services // files "path" paths // files "timer" timers;

  # What services.nix gives -> { "LABEL.plist" = text; ... }
  agentFiles =
    agents:
    builtins.listToAttrs (
      map (name: {
        name = "${agents.${name}.Label}.plist";
        value = plist agents.${name};
      }) (names agents)
    );
}
