# Variables as a shell sets them, for activation scripts and commands: `NAME=word`, quoted.
{ lib }:
let
  # What systemd calls %t and %d is a variable to a shell, and is no longer inside the quotes.
  runtime = ''"''${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"'';
  credentials = ''"$CREDENTIALS_DIRECTORY"'';
  word =
    text:
    lib.replaceStrings
      [
        "%t/"
        "%d/"
        "\${XDG_RUNTIME_DIR}/"
        "$XDG_RUNTIME_DIR/"
      ]
      [
        "'${runtime}'/"
        "'${credentials}'/"
        "'${runtime}'/"
        "'${runtime}'/"
      ]
      "'${lib.replaceStrings [ "'" ] [ "'\\''" ] text}'";
in
lib.mapAttrsToList (
  # PATH only grows: what a person has in it may be what the proxy or git needs.
  name: value:
  if name == "PATH" then ''PATH=${word value}:"$PATH"'' else "${name}=${word value}"
)
