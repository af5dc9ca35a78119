# A closure with all that closures have, without nixpkgs: Debian's static busybox is the seed.
# `seed/bin/busybox` and `seed/ca-certificates.crt` are laid beside this file by `support.nix`.
{
  outputs = { self }:
    let
      seed = builtins.path { name = "seed"; path = ./seed; };

      packages = system:
        let
          make = { name, script, mainProgram ? null, ... }@arguments:
            builtins.derivation (removeAttrs arguments [ "script" "mainProgram" ] // {
              inherit system;
              builder = "${seed}/bin/busybox";
              args = [ "sh" "-euc" script ];
              PATH = arguments.PATH or "${busybox}/bin";
            }) // { meta = if mainProgram == null then { } else { inherit mainProgram; }; };

          # Executables, a link in its own directory, an absolute link to itself.
          busybox = make {
            name = "busybox-1.37.0";
            PATH = "";
            script = ''
              box=${seed}/bin/busybox
              $box mkdir -p $out/bin
              $box cp $box $out/bin/busybox
              for name in sh cat cp chmod echo env grep head httpd id ln ls mkdir seq sha256sum sleep sync uname wc; do
                $box ln -s busybox $out/bin/$name
              done
              $box ln -s $out/bin/busybox $out/bin/ash
            '';
          };

          # The end of the diamond: app -> greet -> library, app -> library.
          library = make {
            name = "libgreet-1.0";
            script = ''
              mkdir -p $out/lib
              echo 'greet() { echo "Hello, $1"; }' > $out/lib/libgreet.sh
            '';
          };

          greet = make {
            name = "greet-2.1";
            script = ''
              mkdir -p $out/bin
              { echo "#!${busybox}/bin/sh"
                echo ". ${library}/lib/libgreet.sh"
                echo 'greet "''${1:-world}"'; } > $out/bin/greet
              chmod +x $out/bin/greet
            '';
          };

          # Content-addressed as text.
          message = builtins.toFile "message.txt" "all is well\n";

          # Content-addressed as a flat file, made by a derivation.
          fixed = make {
            name = "fixed.txt";
            outputHashMode = "flat";
            outputHashAlgo = "sha256";
            outputHash = "1f636e9f20d09560d42ad111b96de1020091b901efbb67593b155886d6a4e5e0";
            script = "echo fixed output > $out";
          };

          # Content-addressed as a NAR, made by a derivation.
          fixedTree = make {
            name = "fixed-tree";
            outputHashMode = "recursive";
            outputHashAlgo = "sha256";
            outputHash = "sha256-45FjR+cUNsz1mZFxpR6Jo3/8r7whTz9AoStAE8mnTOw=";
            script = "mkdir -p $out/a/b; echo tree > $out/a/b/c";
          };

          # A large file, an empty directory.
          data = make {
            name = "data-3";
            script = ''
              mkdir -p $out/share/data $out/share/empty
              seq 1 400000 > $out/share/data/numbers
            '';
          };

          # Names and contents that readers trip over.
          names = make {
            name = "odd_names+files=1?";
            script = ''
              mkdir $out
              cd $out
              echo space > 'with a space'
              echo umlaut > 'grüße'
              echo line > "$(echo one; echo two)"
              echo latin > "$(echo -e 'caf\xe9')"
              echo upper > README
              echo lower > readme
              echo dots > ...
              echo quote > "it's \"quoted\""
              echo option > ./-rf
              : > empty
              ln -s 'with a space' link
              ln -s /does/not/exist dangling
              ln -s ../../../etc/passwd outside
            '';
          };

          # Knows its own path; the chain: app -> self -> message.
          self' = make {
            name = "self-reference-0.5";
            script = ''
              mkdir -p $out/etc
              echo "prefix=$out" > $out/etc/prefix
              ln -s ${message} $out/etc/message
            '';
          };

          # Several outputs.
          tool = make {
            name = "tool-1.9";
            mainProgram = "tool";
            outputs = [ "out" "dev" "doc" ];
            script = ''
              mkdir -p $out/bin $dev/include $doc/share/doc
              { echo "#!${busybox}/bin/sh"; echo "echo tool 1.9"; } > $out/bin/tool
              { echo "#!${busybox}/bin/sh"; echo "echo another"; } > $out/bin/another
              chmod +x $out/bin/tool $out/bin/another
              echo "#define TOOL \"$out\"" > $dev/include/tool.h
              echo "see $dev" > $doc/share/doc/tool
            '';
          };

          # Where nixpkgs has them.
          cacert = make {
            name = "nss-cacert-3.108";
            script = ''
              mkdir -p $out/etc/ssl/certs
              cp ${seed}/ca-certificates.crt $out/etc/ssl/certs/ca-bundle.crt
            '';
          };

          app = make {
            name = "app-1.4.2";
            script = ''
              mkdir -p $out/bin $out/share/app
              ln -s ${data}/share/data $out/share/app/data
              ln -s ${fixed} $out/share/app/fixed.txt
              ln -s ${fixedTree}/a $out/share/app/tree
              { echo "#!${busybox}/bin/sh"
                echo ". ${library}/lib/libgreet.sh"
                echo "${greet}/bin/greet \"\$@\""
                echo "${busybox}/bin/cat ${self'}/etc/message ${names}/readme"
                echo "${busybox}/bin/head -n 1 $out/share/app/data/numbers"; } > $out/bin/app
              chmod +x $out/bin/app
            '';
          };

          # A program that stays and answers over HTTP on port 8080.
          web = make {
            name = "web-0.9";
            script = ''
              mkdir -p $out/bin $out/share/web
              echo "served by nix" > $out/share/web/index.html
              { echo "#!${busybox}/bin/sh"
                echo "exec ${busybox}/bin/httpd -f -p 8080 -h $out/share/web"; } > $out/bin/web
              chmod +x $out/bin/web
            '';
          };

        in {
          inherit busybox library greet message fixed fixedTree data names tool cacert app web;
          self = self';
          default = app;
        };
    in {
      packages = {
        x86_64-linux = removeAttrs (packages "x86_64-linux") [ "message" ];
        aarch64-linux = removeAttrs (packages "aarch64-linux") [ "message" ];
      };
    };
}
