module github.com/cupline/cupline/local

go 1.26.0

