// A program with C in it, and therefore dynamically linked, that makes system calls on stacks of goroutines.
package main

import "C"

import (
	"fmt"
	"io"
	"net"
	"sync"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(connection, connection); connection.Close() }()
		}
	}()
	var group sync.WaitGroup
	var mutex sync.Mutex
	sum := 0
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			connection, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(connection, "%d\n", i)
			var came int
			fmt.Fscanf(connection, "%d\n", &came)
			connection.Close()
			mutex.Lock()
			sum += came
			mutex.Unlock()
		}(i)
	}
	group.Wait()
	fmt.Println("sum", sum)
}
