# nixpkgs' own module for CLIProxyAPI keeps credentials in its state directory itself: they are copied to where
# ours keeps them. Once: later a deleted one would come back with every start. What is there already stays; a sync
# decides which of two is fresher.
#
#   adopt-logins.sh DIRECTORY AUTH-DIR
set -eu
umask 077
cd "$1"
auths=$2
[ ! -e .cliproxyapi-sync-adopted ] || exit 0
mkdir -p "$auths"
for file in *.json; do
  [ -f "$file" ] && [ ! -L "$file" ] && [ ! -e "$auths/$file" ] || continue
  # Whole or not at all; the name in between is none that a proxy loads.
  cp -p "$file" "$auths/.$file.adopting"
  chmod 600 "$auths/.$file.adopting"
  mv -n "$auths/.$file.adopting" "$auths/$file"
  echo "adopted the login $file"
done
rm -f "$auths"/.*.adopting
: > .cliproxyapi-sync-adopted
