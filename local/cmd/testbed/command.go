package main

func runCommand(install, base string, arguments []string) int { return 1 }
