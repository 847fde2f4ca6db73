"""The containers' log files of a node, written and rotated as containerd and the kubelet do it."""
