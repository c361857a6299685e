"""What people have, as conversations about pictures: to train on and to be judged by."""
