module github.com/cupline/cupline/console

go 1.26.0
