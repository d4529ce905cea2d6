{
  # One word of a systemd directive that takes several: quoted where it has to be (systemd.syntax(7)).
  quote =
    word:
    if builtins.match "[A-Za-z0-9_@%:,./+=$-]+" word != null then
      word
    else
      "\""
      + builtins.replaceStrings
        [
          "\\"
          "\""
          "\n"
        ]
        [
          "\\\\"
          "\\\""
          "\\n"
        ]
        word
      + "\"";
}
