# What `make demo` and `make test` need.
{
  stdenvNoCC,
  esbuild,
  git,
  gnumake,
  nodejs,
  openssl,
  python3,
}:
stdenvNoCC.mkDerivation {
  name = "cliproxyapi-sync-dev";
  nativeBuildInputs = [
    esbuild
    git
    gnumake
    nodejs
    openssl
    python3
  ];
}
