# A login's way: one machine has it, the bucket has it within seconds, a second machine gets it, a deletion reaches
# both. Needs KVM: nix build .#checks.x86_64-linux.vm
{ pkgs, ... }:
let
  # A proxy that listens and does nothing else: the test is about what is around it.
  proxy = pkgs.writeShellScriptBin "cli-proxy-api" ''
    exec ${pkgs.python3}/bin/python3 -m http.server 8317 --bind 127.0.0.1 --directory /var/empty
  '';
  keys = {
    id = "cliproxyapi";
    secret = "a-secret-of-the-test";
  };
  s3Config = pkgs.writeText "s3.json" (
    builtins.toJSON {
      identities = [
        {
          name = "test";
          credentials = [
            {
              accessKey = keys.id;
              secretKey = keys.secret;
            }
          ];
          actions = [
            "Admin"
            "Read"
            "Write"
            "List"
          ];
        }
      ];
    }
  );
  client = {
    imports = [ ../modules/nixos.nix ];
    environment.etc."secrets/cliproxyapi.env" = {
      mode = "0600";
      text = ''
        OBJECTSTORE_ENDPOINT=http://store:9000
        OBJECTSTORE_BUCKET=logins
        OBJECTSTORE_ACCESS_KEY=${keys.id}
        OBJECTSTORE_SECRET_KEY=${keys.secret}
      '';
    };
    environment.etc."secrets/api-key" = {
      mode = "0600";
      text = "key-of-a-client";
    };
    services.cliproxyapi = {
      enable = true;
      package = proxy;
      environmentFiles = [ "/etc/secrets/cliproxyapi.env" ];
      settings.api-keys = [ { _secret = "/etc/secrets/api-key"; } ];
      sync.interval = 5;
    };
    systemd.timers.cliproxyapi-sync.timerConfig.AccuracySec = pkgs.lib.mkForce "1s";
  };
  login = pkgs.writeText "login.json" (
    builtins.toJSON {
      type = "claude";
      email = "ada@example.com";
      access_token = "a";
      refresh_token = "r";
      last_refresh = "2026-01-01T00:00:00Z";
    }
  );
  auths = "/var/lib/cliproxyapi/objectstore/auths";
in
{
  name = "cliproxyapi-sync";

  nodes = {
    store = {
      networking.firewall.allowedTCPPorts = [ 9000 ];
      # The server that the project's other tests run on; nixpkgs has the program and no module.
      systemd.services.store = {
        wantedBy = [ "multi-user.target" ];
        after = [ "network.target" ];
        serviceConfig.StateDirectory = "store";
        environment.HOME = "/var/lib/store";
        script = ''
          exec ${pkgs.seaweedfs}/bin/weed server -dir=/var/lib/store -ip=127.0.0.1 -ip.bind=0.0.0.0 \
            -master.volumeSizeLimitMB=64 -volume.max=100 -filer -s3 -s3.port=9000 -s3.config=${s3Config}
        '';
      };
    };
    # Comes from nixpkgs' own module: its logins are in /var/lib/cliproxyapi.
    first = {
      imports = [ client ];
      systemd.tmpfiles.rules = [
        "C /var/lib/cliproxyapi/claude-ada@example.com.json 0600 cliproxyapi cliproxyapi - ${login}"
      ];
    };
    second = client;
  };

  testScript = ''
    store.wait_for_unit("store.service")
    store.wait_for_open_port(9000)
    # The server's own view of its files.
    in_bucket = "curl --fail --silent --header 'Accept: application/json' http://127.0.0.1:8888/buckets/logins/auths/ | grep -F {}"

    with subtest("the login that was there is adopted and reaches the bucket"):
        first.wait_for_unit("cliproxyapi.service")
        first.succeed("curl --fail http://127.0.0.1:8317/")
        first.succeed("test -e ${auths}/claude-ada@example.com.json")
        store.wait_until_succeeds(in_bucket.format("claude-ada@example.com.json"), timeout=60)

    with subtest("the secret is in the config and nowhere in the Nix store"):
        first.succeed("grep -F key-of-a-client /var/lib/cliproxyapi/config.yaml")
        first.fail("systemctl cat cliproxyapi | grep -F key-of-a-client")

    with subtest("a second machine has it"):
        second.wait_for_unit("cliproxyapi.service")
        second.wait_until_succeeds("test -e ${auths}/claude-ada@example.com.json", timeout=60)

    with subtest("a new login is in the bucket as soon as its file is written"):
        second.succeed(
            "sed s/ada/bob/ ${login} > /tmp/bob.json",
            "install -o cliproxyapi -m 600 /tmp/bob.json ${auths}/claude-bob@example.com.json",
        )
        store.wait_until_succeeds(in_bucket.format("claude-bob@example.com.json"), timeout=10)
        first.wait_until_succeeds("test -e ${auths}/claude-bob@example.com.json", timeout=60)

    with subtest("a deletion reaches the other machine, and stays"):
        first.succeed("rm ${auths}/claude-bob@example.com.json")
        second.wait_until_succeeds("test ! -e ${auths}/claude-bob@example.com.json", timeout=60)
        second.systemctl("restart cliproxyapi.service")
        second.wait_for_open_port(8317)
        second.fail("test -e ${auths}/claude-bob@example.com.json")

    with subtest("a burst of changes does not stop the path unit"):
        first.succeed("for i in $(seq 1000); do touch ${auths}/.burst; done; rm ${auths}/.burst")
        first.succeed("systemctl is-active cliproxyapi-backup.path")

    with subtest("the proxy restarts when it dies"):
        first.succeed("systemctl kill --signal=KILL cliproxyapi.service")
        first.wait_until_succeeds("curl --fail http://127.0.0.1:8317/", timeout=60)

    with subtest("the command knows the services' settings"):
        first.succeed("cliproxyapi-sync sync --dry-run")

    with subtest("a missing secret is named together with its option"):
        second.succeed("systemctl stop cliproxyapi.service", "mv /etc/secrets/api-key /etc/secrets/away")
        second.execute("systemctl start cliproxyapi.service")
        second.succeed("journalctl -u cliproxyapi | grep 'services.cliproxyapi.settings'")
  '';
}
