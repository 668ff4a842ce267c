from scenecheck.cli import main

main()
