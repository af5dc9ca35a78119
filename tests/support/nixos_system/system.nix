# A system that has the shape of NixOS, of Debian's programs: what nixpkgs' toplevel holds
# (nixos/modules/system/activation/top-level.nix), and an `init` and `activate` that do what its
# stage 2 and its activation do, in essentials. `support.nixos` says what is different.
# With `isContainer` it has no kernel, no initrd and no bootspec, as with `boot.isContainer`.
{ busybox, debian, configuration, kernel, initrd, kernelParams, fstab, isContainer, system }:
let
  run = { name, script, ... }@arguments:
    builtins.derivation (removeAttrs arguments [ "script" ] // {
      inherit system;
      builder = "${busybox}/bin/busybox";
      args = [ "sh" "-euc" script ];
      PATH = "${busybox}/bin";
    });

  release = builtins.toFile "os-release" ''
    ID=nixos
    NAME=NixOS
    PRETTY_NAME="NixOS 25.11 (of Debian's parts)"
    VERSION_ID="25.11"
    BUG_REPORT_URL="https://example.com/"
  '';

  etcOf = hostName: run {
    name = "etc";
    script = ''
      mkdir -p $out/etc
      cp -a ${configuration}/. $out/etc
      chmod -R u+w $out/etc
      rm -f $out/etc/machine-id $out/etc/os-release $out/etc/hostname $out/etc/fstab
      ln -s ${release} $out/etc/os-release
      ln -s ${fstab} $out/etc/fstab
      echo ${hostName} > $out/etc/hostname
      mkdir -p $out/etc/nix
      { echo "experimental-features = nix-command"; echo "sandbox = false"
        echo "build-users-group ="; } > $out/etc/nix/nix.conf
    '';
  };

  toplevel = { hostName, params, children ? { } }:
    let
      json = builtins.toFile "bootspec.json" (builtins.toJSON {
        "org.nixos.bootspec.v1" = {
          inherit system;
          kernel = "${kernel}/bzImage";
          initrd = "${initrd}/initrd";
          kernelParams = params;
          label = "NixOS Debian 25.11 (Linux)";
          toplevel = "@out@";
          init = "@out@/init";
        };
        "org.nixos.specialisation.v1" = "@children@";
        "org.example.colour" = { name = "green"; };
      });
      names = builtins.attrNames children;
      each = do: builtins.concatStringsSep "\n" (map (name: do name children.${name}) names);
      boot = ''
        ln -s ${kernel}/bzImage $out/kernel
        ln -s ${debian}/usr $out/kernel-modules
        ln -s ${initrd}/initrd $out/initrd
        echo -n "${builtins.concatStringsSep " " params}" > $out/kernel-params
        {
          echo -n '{'
          first=1
          for child in $out/specialisation/*; do
            [ -e "$child" ] || continue
            [ $first = 1 ] || echo -n ,
            first=0
            echo -n "\"''${child##*/}\":"
            cat $child/boot.json
          done
          echo -n '}'
        } > children
        sed "s|@out@|$out|g; s|\"@children@\"|$(cat children)|" ${json} > $out/boot.json
      '';
    in run {
      name = "nixos-system-${hostName}-25.11";
      script = ''
        mkdir -p $out/bin $out/specialisation
        ln -s ${etcOf hostName}/etc $out/etc
        ln -s ${debian}/usr $out/sw
        ln -s ${debian}/usr $out/systemd
        echo -n "25.11" > $out/nixos-version
        echo -n "${system}" > $out/system
        ${each (name: child: "ln -s ${child} $out/specialisation/${name}")}
        ${if isContainer then "" else boot}
        for file in init activate switch-to-configuration; do
          place=$out/$file
          [ $file != switch-to-configuration ] || place=$out/bin/$file
          sed "s|@busybox@|${busybox}|g; s|@out@|$out|g; s|@debian@|${debian}|g" \
            ${./.}/$file > $place
          chmod +x $place
        done
      '';
    };
in toplevel {
  hostName = "machine";
  params = kernelParams;
  children.debug = toplevel {
    hostName = "debugged";
    params = kernelParams ++ [ "systemd.log_level=debug" ];
  };
}
