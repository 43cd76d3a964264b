module ringgo.bench/peers

go 1.19
