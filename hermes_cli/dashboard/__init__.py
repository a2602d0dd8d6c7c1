"""The dashboard: a web page that shows what `hermes status` and `hermes gateway logs` say, live."""
