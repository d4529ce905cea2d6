# hydrate, backup, start, cliproxyapi-sync, and the wrapper as cliproxyapi.
{
  lib,
  stdenv,
  cacert,
  esbuild,
  git,
  makeWrapper,
  nodejs,
}:
let
  inherit (lib.importJSON ../ts/package.json) version;
  lockFile = ../ts/package-lock.json;

  # What the bundles are made from, as the lock file has it: the same on every system. `make deps-hash` renews the
  # hash. The lock file is in the name, so that Nix never takes an old result for a new lock file.
  dependencies = stdenv.mkDerivation {
    name = "cliproxyapi-sync-dependencies-${builtins.substring 0 12 (builtins.hashFile "sha256" lockFile)}";
    src = lib.sourceByRegex ../ts [ "package(-lock)?\\.json" ];
    nativeBuildInputs = [ nodejs ];
    NODE_EXTRA_CA_CERTS = "${cacert}/etc/ssl/certs/ca-bundle.crt";
    impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [ "npm_config_registry" ];
    buildCommand = ''
      export HOME=$TMPDIR
      ${stdenv.shell} ${./fetch-deps.sh} $src $out
    '';
    outputHashMode = "recursive";
    outputHashAlgo = null;
    outputHash = (lib.importJSON ./deps.json).hash;
  };
in
stdenv.mkDerivation {
  pname = "cliproxyapi-sync";
  inherit version;

  # Not lib.fileset: Nix before 2.14 has not what it needs.
  src = lib.sourceByRegex ../ts [
    "src(/.*)?"
    "(build|share)\\.ts"
    "package\\.json"
    "tsconfig\\.json"
  ];

  strictDeps = true;
  nativeBuildInputs = [
    esbuild
    makeWrapper
    nodejs
  ];

  buildPhase = ''
    runHook preBuild
    ln -s ${dependencies}/node_modules node_modules
    # The build script is TypeScript, and not every Node reads that.
    esbuild build.ts --format=esm --platform=node --log-level=warning --outfile=build.mjs
    ESBUILD=$(command -v esbuild) node build.mjs
    # Man pages and completions, from the sources: a command or option that is added there is in them.
    esbuild share.ts --bundle --format=cjs --platform=node --log-level=warning --outfile=share.cjs \
      --define:PROGRAM_VERSION='"${version}"'
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    mkdir -p $out/lib/cliproxyapi-sync
    cp dist/*.mjs $out/lib/cliproxyapi-sync
    # Without the dashes Node takes an --env-file among our arguments for its own. A core file would hold tokens.
    install_program() (
      makeWrapper ${nodejs}/bin/node $out/bin/$1 --prefix PATH : ${git}/bin --run 'ulimit -c 0' \
        --add-flags "-- $out/lib/cliproxyapi-sync/$2.mjs"
    )
    for program in hydrate backup start cliproxyapi-sync; do install_program $program $program; done
    install_program cliproxyapi wrapper
    node share.cjs $out/share
    runHook postInstall
  '';

  passthru = { inherit dependencies; };

  meta = {
    description = "Keeps CLIProxyAPI's OAuth logins safe and in step across machines";
    longDescription = ''
      CLIProxyAPI serves OpenAI-, Gemini- and Claude-compatible APIs out of OAuth logins. These programs share the
      logins between machines through a bucket: none is lost, none is replaced by an older one, and a deleted one
      stays deleted.
    '';
    homepage = "https://github.com/router-for-me/CLIProxyAPI";
    license = lib.licenses.mit;
    mainProgram = "cliproxyapi-sync";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
