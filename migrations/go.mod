module github.com/cupline/cupline/migrations

go 1.26.0

