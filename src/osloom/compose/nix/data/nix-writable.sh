# Programs of a user's own profile of Nix packages: before the image's.
case ":$PATH:" in
*":$HOME/.nix-profile/bin:"*) ;;
*) PATH="$HOME/.nix-profile/bin:$PATH" ;;
esac
export PATH
