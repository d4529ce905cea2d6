# A configuration that uses most options, for the checks.
{ package }:
{
  services.cliproxyapi = {
    enable = true;
    sync.package = package;
    settings = {
      api-keys = [
        { _secret = "/run/secrets/cliproxyapi-key"; }
        "__SECOND_KEY__"
      ];
      remote-management.secret-key = "__MANAGEMENT_KEY__";
    };
    environmentFiles = [ "/run/secrets/cliproxyapi.env" ];
    environment.OBJECTSTORE_BUCKET = "logins";
    sync.interval = 120;
  };
}
