# What `switch` puts into place, as files: { "systemd/user/cliproxyapi.service" = text; "manifest.json" = text; }.
# Pure, over `builtins` alone. ts/src/services/service-set.ts reads them.
#
# The text is the same for every user: the home is ''${HOME}, which becomes %h in units, and which the program
# replaces in all else.
{
  # "systemd" or "launchd"
  manager,
  # As modules/services.nix has them.
  settings,
}:
let
  services = import ../../modules/services.nix (
    {
      dataDir = "\${HOME}/.cli-proxy-api";
      ccsDir = "\${HOME}/.ccs/cliproxy/auth";
      logDir = if manager == "launchd" then "\${HOME}/Library/Logs" else null;
    }
    // settings
    // {
      scope = "user";
    }
  );
  render = import ../../modules/render.nix;
  wanted = settings.hydrate or true;
  logDir = settings.logDir or "\${HOME}/Library/Logs";

  manifest = {
    format = 1;
    inherit manager;
    # Before what watches them, and what writes there, is started.
    directories = services.watched ++ (if manager == "launchd" then [ logDir ] else [ ]);
    hydrate =
      if wanted then
        {
          command = services.programs.hydrate;
          inherit (services) environment;
        }
      else
        null;
  };

  inFolder =
    folder: files:
    builtins.listToAttrs (
      map (name: {
        name = "${folder}/${name}";
        value = files.${name};
      }) (builtins.attrNames files)
    );
in
{
  "manifest.json" = builtins.toJSON manifest;
}
// (
  if manager == "systemd" then
    inFolder "systemd/user" (render.unitFiles { inherit (services.systemd) services paths timers; })
  else
    inFolder "launchd" (render.agentFiles services.launchd.agents)
)
